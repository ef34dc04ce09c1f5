// What leak.c does, as C++ would: streams, std::thread, methods of a class in a namespace.

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// Neither inlined nor cloned nor renamed; what follows each call keeps it from becoming a jump.
#define APART __attribute__((noipa))

namespace shop {

constexpr int CHURN = 10;
constexpr int HELD = 900;
constexpr std::size_t MAPPING = 1 << 16;

[[noreturn]] void fail(const char *what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class OrderBook {
public:
    using Step = void (OrderBook::*)();

    APART void serve_request(Step leak, Step churn, bool leaks) {
        handle_order(leak, churn, leaks);
        returned++;
    }

    APART void leak_descriptor() {
        auto *file = new std::ifstream("/dev/null");
        if (!file->is_open()) fail("open");
        returned++;
    }

    APART void churn_descriptor() {
        std::ifstream file("/dev/null");
        if (!file.is_open()) fail("open");
        returned++;
    }

    APART void leak_socket() {
        if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0) fail("socket");
        returned++;
    }

    APART void churn_socket() {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) fail("socket");
        close(fd);
        returned++;
    }

    APART void leak_thread() {
        std::thread([] {
            for (;;) pause();
        }).detach();
        returned++;
    }

    APART void churn_thread() {
        std::thread([] {}).join();
        returned++;
    }

    APART void leak_mapping() {
        map();
        returned++;
    }

    APART void churn_mapping() {
        munmap(map(), MAPPING);
        returned++;
    }

private:
    APART void handle_order(Step leak, Step churn, bool leaks) {
        if (leaks) load_customer(leak);
        for (int i = 0; i < CHURN; i++) price_items(churn);
        returned++;
    }

    APART void load_customer(Step leak) {
        (this->*leak)();
        returned++;
    }

    APART void price_items(Step churn) {
        (this->*churn)();
        returned++;
    }

    static void *map() {
        void *memory = mmap(nullptr, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) fail("mmap");
        return std::memset(memory, 1, MAPPING);
    }

    volatile unsigned long returned = 0;
};

struct Mode {
    std::string_view name;
    OrderBook::Step leak;
    OrderBook::Step churn;
};

constexpr Mode MODES[] = {
    {"fd", &OrderBook::leak_descriptor, &OrderBook::churn_descriptor},
    {"socket", &OrderBook::leak_socket, &OrderBook::churn_socket},
    {"thread", &OrderBook::leak_thread, &OrderBook::churn_thread},
    {"mmap", &OrderBook::leak_mapping, &OrderBook::churn_mapping},
};

void serve(const Mode &mode, long rate, long seconds) {
    OrderBook book;
    auto next = std::chrono::steady_clock::now();
    for (long i = 0; i < rate * seconds; i++) {
        book.serve_request(mode.leak, mode.churn, i < HELD);
        next += std::chrono::nanoseconds(1'000'000'000 / rate);
        std::this_thread::sleep_until(next);
    }
}

}  // namespace shop

int main(int count, char **arguments) {
    for (const auto &mode : shop::MODES) {
        if (count == 4 && mode.name == arguments[1]) {
            shop::serve(mode, std::stol(arguments[2]), std::stol(arguments[3]));
            return 0;
        }
    }
    std::cerr << "usage: " << arguments[0] << " fd|socket|thread|mmap RATE SECONDS\n";
    return 2;
}
