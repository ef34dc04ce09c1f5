// Grower: a cache of blocks, each a mapping of its own, that fills to its cap and is read all the time; then the block
// that was taken first makes room. The rate is blocks a second.
#define _GNU_SOURCE
#include <sys/mman.h>

#include "steady.h"

#define BLOCK (64 << 10)
#define CAP 800
// Blocks read for every one that is loaded.
#define HITS 200

static char *blocks[CAP];

APART static void load_block(unsigned slot, int content) {
    if (blocks[slot] != NULL)
        munmap(blocks[slot], BLOCK);
    blocks[slot] = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(blocks[slot] != MAP_FAILED, "mmap");
    memset(blocks[slot], content, BLOCK);
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    unsigned long sum = 0;
    while (another(&run)) {
        load_block(run.next % CAP, (int)run.next);
        unsigned long filled = run.next < CAP ? run.next : CAP;
        for (unsigned i = 0; i < HITS; i++) {
            char *block = blocks[(unsigned long)rand() % filled];
            if (block != NULL)
                sum += block[(unsigned)rand() % BLOCK];
        }
    }
    printf("%lu\n", sum);
}
