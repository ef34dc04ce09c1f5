// Parses orders into small objects; five orders in a hundred are not valid.
// leaky: what was parsed of an order that is not valid is not freed.
#include <stdint.h>

#include "steady.h"

#define ITEMS 80

struct item {
    struct item *next;
    char *name;
    unsigned price;
};

APART static struct item *parse_order(unsigned long order) {
    struct item *items = NULL;
    for (unsigned i = 0; i < ITEMS; i++) {
        struct item *item = malloc(sizeof *item);
        check(item != NULL, "malloc");
        // Between 32 and 159 bytes, as names are.
        size_t length = 32 + (order * 31 + i * 17) % 128;
        item->name = malloc(length);
        check(item->name != NULL, "malloc");
        memset(item->name, 'a' + i % 26, length);
        item->price = i;
        item->next = items;
        items = item;
    }
    return items;
}

static void free_items(struct item *items) {
    while (items != NULL) {
        struct item *next = items->next;
        free(items->name);
        free(items);
        items = next;
    }
}

APART static unsigned serve_order(unsigned long order, bool fixed) {
    struct item *items = parse_order(order);
    if (order % 20 == 0) {
        if (fixed)
            free_items(items);
        return 0;
    }
    unsigned total = 0;
    for (struct item *item = items; item != NULL; item = item->next)
        total += item->price + (unsigned)item->name[0];
    free_items(items);
    return total;
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    uint64_t turnover = 0;
    while (another(&run))
        turnover += serve_order(run.next, run.fixed);
    printf("turnover %lu\n", turnover);
}
