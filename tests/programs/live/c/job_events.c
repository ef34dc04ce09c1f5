// A thread does jobs and says through an eventfd of each that it is done; three jobs in a hundred are abandoned.
// leaky: the eventfd of an abandoned job is not closed.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "steady.h"

static int queue[2];

static void *do_jobs(void *arg) {
    int done;
    uint64_t one = 1;
    while (read(queue[0], &done, sizeof done) == sizeof done)
        if (write(done, &one, sizeof one) != sizeof one)
            perror("write");
    return arg;
}

APART static bool run_job(unsigned long job, bool fixed) {
    uint64_t count;
    int done = eventfd(0, EFD_CLOEXEC);
    check(done >= 0, "eventfd");
    if (job % 33 == 0) {
        if (fixed)
            close(done);
        return false;
    }
    check(write(queue[1], &done, sizeof done) == sizeof done, "write");
    check(read(done, &count, sizeof count) == sizeof count, "read");
    close(done);
    return true;
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    check(pipe2(queue, O_CLOEXEC) == 0, "pipe2");
    pthread_t thread;
    check(pthread_create(&thread, NULL, do_jobs, NULL) == 0, "pthread_create");
    unsigned abandoned = 0;
    while (another(&run))
        abandoned += !run_job(run.next, run.fixed);
    printf("%u jobs were abandoned\n", abandoned);
}
