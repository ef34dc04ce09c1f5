// hostile exits|reloads|maps|names SECONDS [FILE]
//
// What makes a reader of processes fall over:
//   exits          children that take things of every kind and end within a few milliseconds
//   reloads FILE   copies of the library FILE are loaded, called, unloaded and deleted
//   maps           10 GB of address space and 60,000 mappings, every eighth of them executable
//   names          the process, a thread and every file that it holds have escape codes in their names
// All but `exits` leak a descriptor every 20 ms from leak_descriptor besides. Ends by itself.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MAPPINGS = 60000, HELD = 900 };

#define APART __attribute__((noipa))
#define ESCAPES "\033[2J\033]0;owned\007\n\"\\"
static volatile unsigned long returned;
static long leaked;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

APART static void leak_descriptor(const char *path, int flags) {
    if (leaked++ < HELD && open(path, flags | O_CLOEXEC, 0600) < 0) fail("open");
    returned++;
}

static void *waits(void *nothing) {
    pthread_setname_np(pthread_self(), "\033[31mred\007");
    for (;;) pause();
    return nothing;
}

static void start_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, waits, NULL) != 0) fail("pthread_create");
}

APART static void short_life(unsigned number) {
    for (int i = 0; i < 8; i++) {
        if (open("/dev/null", O_RDONLY) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0) fail("open");
        char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) fail("mmap");
        memset(memory, 1, 16 * PAGE);
    }
    start_thread();
    usleep(number % 4 * 1000);
    _exit(0);
}

static void exits(unsigned number) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) short_life(number);
    // Two at a time.
    if (number % 2) while (wait(NULL) > 0) continue;
}

static void reload(const char *library, unsigned number) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s.XXXXXX", library);
    struct stat size;
    int from = open(library, O_RDONLY), to = mkstemp(copy);
    if (from < 0 || to < 0 || fstat(from, &size) != 0 || sendfile(to, from, NULL, size.st_size) != size.st_size)
        fail(library);
    close(from);
    close(to);
    void *plugin = dlopen(copy, RTLD_NOW);
    unlink(copy);
    if (!plugin) fail(dlerror());
    int (*plugin_open)(int *) = (int (*)(int *))dlsym(plugin, "plugin_open");
    int passed = 0;
    close(plugin_open(&passed));
    dlclose(plugin);
    if (number % 4 == 0) leak_descriptor("/dev/null", O_RDONLY);
    usleep(5000);
}

static void map(void) {
    size_t ten_gigabytes = 10ull << 30;
    if (mmap(NULL, ten_gigabytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
        fail("mmap");
    char *memory = mmap(NULL, (size_t)MAPPINGS * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    for (long i = 0; i < MAPPINGS; i += 2)
        if (mprotect(memory + i * PAGE, PAGE, PROT_READ | (i % 8 ? PROT_WRITE : PROT_EXEC)) != 0) fail("mprotect");
}

static void name_file(const char *directory, unsigned number) {
    char path[256];
    snprintf(path, sizeof path, "%s/" ESCAPES "%u", directory, number);
    leak_descriptor(path, O_RDWR | O_CREAT);
    unlink(path);
    usleep(20000);
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: %s exits|reloads|maps|names SECONDS [FILE]\n", arguments[0]);
        return 2;
    }
    const char *mode = arguments[1], *file = count > 3 ? arguments[3] : "/tmp";
    if (strcmp(mode, "maps") == 0) map();
    if (strcmp(mode, "names") == 0) {
        prctl(PR_SET_NAME, ESCAPES);
        start_thread();
    }
    long end = now() + atol(arguments[2]);
    for (unsigned number = 0; now() < end; number++) {
        if (strcmp(mode, "exits") == 0) {
            exits(number);
        } else if (strcmp(mode, "reloads") == 0) {
            reload(file, number);
        } else if (strcmp(mode, "names") == 0) {
            name_file(file, number);
        } else {
            leak_descriptor("/dev/null", O_RDONLY);
            usleep(20000);
        }
    }
    return 0;
}
