// Asks a name server over a socket of its own for every request; four names in a hundred are unknown.
// leaky: the path for unknown names returns without closing the socket.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "steady.h"

static struct sockaddr_in server = {.sin_family = AF_INET};

static void *name_server(void *arg) {
    int fd = *(int *)arg;
    for (;;) {
        unsigned question;
        struct sockaddr_in client;
        socklen_t size = sizeof client;
        if (recvfrom(fd, &question, sizeof question, 0, (struct sockaddr *)&client, &size) != sizeof question)
            continue;
        char known = question % 25 != 0;
        sendto(fd, &known, 1, 0, (struct sockaddr *)&client, size);
    }
    return NULL;
}

APART static bool resolve_name(unsigned question, bool fixed) {
    char known = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    check(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
    check(send(fd, &question, sizeof question, 0) == sizeof question, "send");
    check(recv(fd, &known, 1, 0) == 1, "recv");
    if (!known) {
        if (fixed)
            close(fd);
        return false;
    }
    close(fd);
    return true;
}

int main(int argc, char **argv) {
    struct steady run = steady(argc, argv);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof server;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(fd, (struct sockaddr *)&server, sizeof server) == 0, "bind");
    check(getsockname(fd, (struct sockaddr *)&server, &size) == 0, "getsockname");
    pthread_t thread;
    check(pthread_create(&thread, NULL, name_server, &fd) == 0, "pthread_create");
    unsigned unknown = 0;
    while (another(&run))
        unknown += !resolve_name(run.next, run.fixed);
    printf("%u names were unknown\n", unknown);
}
