// Renders each job in a mapping of its own; four jobs in a hundred are refused half-way.
// leaky: the path for refused jobs returns without unmapping.
#define _GNU_SOURCE
#include <sys/mman.h>

#include "steady.h"

#define CANVAS (128 << 10)

APART static bool render_job(unsigned long job, bool fixed) {
    char *canvas = mmap(NULL, CANVAS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(canvas != MAP_FAILED, "mmap");
    memset(canvas, (int)job, CANVAS);
    if (job % 25 == 0) {
        if (fixed)
            munmap(canvas, CANVAS);
        return false;
    }
    munmap(canvas, CANVAS);
    return true;
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    unsigned refused = 0;
    while (another(&run))
        refused += !render_job(run.next, run.fixed);
    printf("%u jobs were refused\n", refused);
}
