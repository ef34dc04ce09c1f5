// usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS.
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Neither inlined nor cloned nor renamed.
#define APART __attribute__((noipa))

struct steady {
    bool fixed;
    unsigned long requests;
    unsigned long next;
    long period_ns;
    struct timespec turn;
};

static inline void check(bool ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static inline struct steady steady(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s leaky|fixed SECONDS RATE\n", argv[0]);
        exit(2);
    }
    unsigned long rate = strtoul(argv[3], NULL, 10);
    struct steady run = {
        .fixed = strcmp(argv[1], "fixed") == 0,
        .requests = strtoul(argv[2], NULL, 10) * rate,
        .period_ns = 1000000000 / rate,
    };
    check(clock_gettime(CLOCK_MONOTONIC, &run.turn) == 0, "clock_gettime");
    return run;
}

// Waits for the turn of the next request; false when there is none.
static inline bool another(struct steady *run) {
    if (run->next == run->requests)
        return false;
    run->next++;
    run->turn.tv_nsec += run->period_ns;
    if (run->turn.tv_nsec >= 1000000000) {
        run->turn.tv_nsec -= 1000000000;
        run->turn.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &run->turn, NULL);
    return true;
}
