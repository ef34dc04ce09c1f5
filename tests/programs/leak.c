// leak fd|socket|thread|mmap RATE SECONDS
//
// Leaks RATE things a second of one kind from one function, while another takes and gives back ten times as many: only
// what is still held tells the two apart. Holds still when the leak has HELD of them; ends by itself.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHURN = 10, HELD = 900, MAPPING = 1 << 16 };

// Neither inlined nor cloned nor renamed; what follows each call keeps it from becoming a jump.
#define APART __attribute__((noipa))
static volatile unsigned long returned;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

APART static void leak_descriptor(void) {
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) fail("open");
    returned++;
}

APART static void churn_descriptor(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("open");
    close(fd);
    returned++;
}

APART static void leak_socket(void) {
    if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0) fail("socket");
    returned++;
}

APART static void churn_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    close(fd);
    returned++;
}

static void *blocked(void *nothing) {
    for (;;) pause();
    return nothing;
}

static void *finished(void *nothing) {
    return nothing;
}

static pthread_t start(void *(*routine)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, NULL) != 0) fail("pthread_create");
    return thread;
}

APART static void leak_thread(void) {
    pthread_detach(start(blocked));
    returned++;
}

APART static void churn_thread(void) {
    pthread_join(start(finished), NULL);
    returned++;
}

static void *map(void) {
    void *memory = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    memset(memory, 1, MAPPING);
    return memory;
}

APART static void leak_mapping(void) {
    map();
    returned++;
}

APART static void churn_mapping(void) {
    munmap(map(), MAPPING);
    returned++;
}

static const struct mode {
    const char *name;
    void (*leak)(void);
    void (*churn)(void);
} MODES[] = {
    {"fd", leak_descriptor, churn_descriptor},
    {"socket", leak_socket, churn_socket},
    {"thread", leak_thread, churn_thread},
    {"mmap", leak_mapping, churn_mapping},
};

APART static void load_customer(const struct mode *mode) {
    mode->leak();
    returned++;
}

APART static void price_items(const struct mode *mode) {
    mode->churn();
    returned++;
}

APART static void handle_order(const struct mode *mode, int leaks) {
    if (leaks) load_customer(mode);
    for (int i = 0; i < CHURN; i++) price_items(mode);
    returned++;
}

APART static void serve_request(const struct mode *mode, int leaks) {
    handle_order(mode, leaks);
    returned++;
}

APART static void serve(const struct mode *mode, long rate, long seconds) {
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long i = 0; i < rate * seconds; i++) {
        serve_request(mode, i < HELD);
        next.tv_nsec += 1000000000 / rate;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    returned++;
}

int main(int count, char **arguments) {
    for (size_t i = 0; count == 4 && i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(arguments[1], MODES[i].name) == 0) {
            serve(&MODES[i], atol(arguments[2]), atol(arguments[3]));
            return 0;
        }
    }
    fprintf(stderr, "usage: %s fd|socket|thread|mmap RATE SECONDS\n", arguments[0]);
    return 2;
}
