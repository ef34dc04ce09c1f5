// A library that hostile.c loads and unloads.

#include <fcntl.h>
#include <unistd.h>

__attribute__((noipa)) int plugin_open(int *passed) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (*passed)++;
    return fd;
}
