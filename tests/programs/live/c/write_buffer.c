// Grower: collects records in memory, then writes all of them out and frees them, once in twenty seconds.
// The rate is records a second.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "steady.h"

#define PERIOD 20

struct record {
    struct record *next;
    char text[2000];
};

APART static struct record *add_record(struct record *buffer, unsigned long number) {
    struct record *record = malloc(sizeof *record);
    check(record != NULL, "malloc");
    memset(record->text, 'a' + (int)(number % 26), sizeof record->text);
    record->next = buffer;
    return record;
}

static void flush(struct record *buffer) {
    int fd = open("segment", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0, "segment");
    while (buffer != NULL) {
        struct record *next = buffer->next;
        check(write(fd, buffer->text, sizeof buffer->text) == sizeof buffer->text, "write");
        free(buffer);
        buffer = next;
    }
    close(fd);
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    unsigned long batch = strtoul(argv[3], NULL, 10) * PERIOD;
    struct record *buffer = NULL;
    while (another(&run)) {
        buffer = add_record(buffer, run.next);
        if (run.next % batch == 0) {
            flush(buffer);
            buffer = NULL;
        }
    }
}
