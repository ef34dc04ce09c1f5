// Holds a known number of objects in the heaps of several threads, and answers questions on its standard input, one a line:
// `books` with what malloc itself says, `latency` with how long requests took in a second, `break` by writing over the size
// of a chunk. `heap THREADS SESSIONS`: each thread holds so many, and half as many orders.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>

namespace shop {

class Held {
public:
	virtual ~Held() = default;
	virtual std::size_t number() const = 0;
};

class Session final : public Held {
public:
	explicit Session(std::size_t user) : user_(user) {}
	std::size_t number() const override { return user_; }

private:
	std::size_t user_;
	char name_[80] = {};
};

class Order final : public Held {
public:
	std::size_t number() const override { return lines_[0]; }

private:
	std::size_t lines_[250] = {};
};

} // namespace shop

namespace {

// Longer than what a mapping of its own is made for (M_MMAP_THRESHOLD).
constexpr std::size_t BLOCK = 3 << 20;
constexpr int BLOCKS = 3;

std::mutex lock;
std::condition_variable changed;
unsigned long holding = 0;

using Things = std::vector<std::unique_ptr<shop::Held>>;

// Every fifth order is given back at the end: that leaves holes that no thread's cache and no fastbin takes.
Things hold(unsigned long sessions)
{
	Things things, spare;
	for (unsigned long n = 0; n < sessions; n++) {
		things.push_back(std::make_unique<shop::Session>(n));
		if (n % 2 == 0)
			things.push_back(std::make_unique<shop::Order>());
		if (n % 8 == 1)
			spare.push_back(std::make_unique<shop::Order>());
	}
	return things;
}

void hold_for_ever(unsigned long sessions)
{
	Things things = hold(sessions);
	std::unique_lock<std::mutex> held(lock);
	holding++;
	changed.notify_all();
	changed.wait(held, [] { return false; });
}

unsigned long arenas()
{
	char *text = nullptr;
	std::size_t length = 0;
	FILE *file = open_memstream(&text, &length);
	malloc_info(0, file);
	std::fclose(file);
	unsigned long count = 0;
	for (const char *at = text; (at = std::strstr(at, "<heap nr=")) != nullptr; at++)
		count++;
	std::free(text);
	return count;
}

void books(unsigned long sessions, unsigned long orders)
{
	unsigned long count = arenas();
	struct mallinfo2 info = mallinfo2();
	std::printf("{\"arenas\":%lu,\"in_use\":%zu,\"free\":%zu,\"mapped\":%zu,\"blocks\":%zu,\"sessions\":%lu,\"orders\":%lu}\n",
		    count, info.uordblks, info.fordblks, info.hblkhd, info.hblks, sessions, orders);
}

void latency(const Things &things)
{
	using clock = std::chrono::steady_clock;
	std::vector<double> took;
	took.reserve(1 << 20);
	auto until = clock::now() + std::chrono::seconds(1);
	std::size_t sum = 0;
	for (std::size_t user = 0; took.size() < took.capacity(); user++) {
		auto began = clock::now();
		if (began >= until)
			break;
		// What a request makes is given back at its end.
		for (std::size_t n = 0; n < 100; n++) {
			std::string answer(64 + n % 7 * 100, 'x');
			sum += things[(user * 101 + n * 7919) % things.size()]->number() + answer.size();
		}
		took.push_back(std::chrono::duration<double, std::micro>(clock::now() - began).count());
	}
	std::sort(took.begin(), took.end());
	std::printf("{\"requests\":%zu,\"p99_us\":%.1f,\"sum\":%zu}\n", took.size(), took[took.size() * 99 / 100], sum);
}

// The size of a chunk stands before what malloc gives out (struct malloc_chunk).
void break_chunk(const Things &things)
{
	auto *chunk = reinterpret_cast<volatile std::uint64_t *>(things[things.size() / 2].get());
	chunk[-1] = 0;
	std::puts("{}");
}

} // namespace

int main(int argc, char **argv)
{
	unsigned long threads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0;
	unsigned long sessions = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1000;
	// A freed block would raise the threshold for the next ones.
	std::vector<void *> blocks;
	for (int n = 0; n < BLOCKS; n++) {
		void *block = std::malloc(BLOCK);
		std::memset(block, 1, BLOCK);
		blocks.push_back(block);
	}
	Things things = hold(sessions);
	for (unsigned long n = 0; n < threads; n++)
		std::thread(hold_for_ever, sessions).detach();
	{
		std::unique_lock<std::mutex> held(lock);
		changed.wait(held, [&] { return holding == threads; });
	}
	std::puts("ready");
	std::fflush(stdout);
	std::string line;
	while (std::getline(std::cin, line)) {
		if (line == "books")
			books((threads + 1) * sessions, (threads + 1) * ((sessions + 1) / 2));
		else if (line == "latency")
			latency(things);
		else if (line == "break")
			break_chunk(things);
		std::fflush(stdout);
	}
	std::_Exit(0);
}
