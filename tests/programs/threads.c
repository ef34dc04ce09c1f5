// threads WORKERS READERS
//
// WORKERS threads wait for a condition that never comes and READERS read from a socket that stays silent. Says `ready`
// when all wait. Then it measures, until its standard input ends, how late a thread that sleeps a millisecond at a time
// wakes up at worst, and prints that in nanoseconds.

#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Neither inlined nor cloned nor renamed; what follows each call keeps it from becoming a jump.
#define APART __attribute__((noipa))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static int silent[2];
static atomic_int waiting;

APART static void wait_queue(void) {
    pthread_mutex_lock(&mutex);
    waiting++;
    for (;;) pthread_cond_wait(&work, &mutex);
}

APART static void *leaked_worker(void *nothing) {
    wait_queue();
    return nothing;
}

APART static void wait_socket(void) {
    char byte;
    waiting++;
    while (read(silent[0], &byte, 1) == 1) {
    }
    waiting--;
}

APART static void *conn_reader(void *nothing) {
    wait_socket();
    return nothing;
}

APART static void start(void *(*routine)(void *), int count) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 16);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, routine, NULL) != 0) {
            perror("pthread_create");
            exit(1);
        }
    }
    pthread_attr_destroy(&attributes);
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long longest_stall(void) {
    const struct timespec millisecond = {.tv_nsec = 1000000};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    long longest = 0;
    while (poll(&input, 1, 0) == 0) {
        long before = now();
        nanosleep(&millisecond, NULL);
        long late = now() - before - millisecond.tv_nsec;
        if (late > longest) longest = late;
    }
    return longest;
}

int main(int count, char **arguments) {
    if (count != 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, silent) != 0) {
        fprintf(stderr, "usage: %s WORKERS READERS\n", arguments[0]);
        return 2;
    }
    int workers = atoi(arguments[1]), readers = atoi(arguments[2]);
    start(leaked_worker, workers);
    start(conn_reader, readers);
    while (waiting < workers + readers) usleep(1000);
    // The last ones are on their way into the kernel.
    usleep(100000);
    puts("ready");
    fflush(stdout);
    printf("%ld\n", longest_stall());
    return 0;
}
