// A server that logs every request and opens its log again on every twentieth, when its settings are read again.
// leaky: the log it had stays open.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "steady.h"

static int log_fd;

APART static void reopen_log(bool fixed) {
    int before = log_fd;
    log_fd = open("server.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    check(log_fd >= 0, "server.log");
    if (fixed)
        close(before);
}

APART static void read_settings(void) {
    char text[64];
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && read(fd, text, sizeof text) > 0, "settings");
    close(fd);
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    log_fd = open("server.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    check(log_fd >= 0, "server.log");
    while (another(&run)) {
        read_settings();
        if (run.next % 20 == 0)
            reopen_log(run.fixed);
        check(write(log_fd, "GET /\n", 6) == 6, "write");
        if (run.next % 100000 == 0)
            check(ftruncate(log_fd, 0) == 0, "ftruncate");
    }
}
