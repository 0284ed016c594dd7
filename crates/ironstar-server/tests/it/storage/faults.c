// Makes the files of one folder fail, for tests where no volume can be mounted.
//
// Preloaded (LD_PRELOAD) into the server. While the file FAULT_SWITCH exists, all writes to
// files under FAULT_FOLDER, and the creation of files there, fail with the error number
// FAULT_ERRNO.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_failing(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    const char *file = getenv("FAULT_SWITCH");
    return folder && file && strncmp(path, folder, strlen(folder)) == 0 && access(file, F_OK) == 0;
}

static int refused(void) {
    errno = atoi(getenv("FAULT_ERRNO"));
    return -1;
}

static int is_failing_file(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_failing(path);
}

#define WRITES(name, parameters, arguments)                                   \
    ssize_t name parameters {                                                 \
        static ssize_t (*real) parameters;                                    \
        if (!real) real = (ssize_t (*) parameters)dlsym(RTLD_NEXT, #name);    \
        return is_failing_file(file) ? refused() : real arguments;            \
    }

WRITES(write, (int file, const void *bytes, size_t count), (file, bytes, count))
WRITES(pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
WRITES(pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))

#define OPENS(name)                                                           \
    int name(const char *path, int flags, ...) {                              \
        static int (*real)(const char *, int, ...);                           \
        if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        va_list more;                                                         \
        va_start(more, flags);                                                \
        int mode = va_arg(more, int);                                         \
        va_end(more);                                                         \
        int makes = (flags & O_CREAT) && access(path, F_OK) != 0;             \
        int writes = (flags & O_ACCMODE) != O_RDONLY;                         \
        int refuses = makes || (writes && atoi(getenv("FAULT_ERRNO")) == EROFS); \
        return refuses && is_failing(path) ? refused() : real(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)
