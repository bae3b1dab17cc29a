/* Stands between a program and its disk: while there is a file hang-sync or hang-write in the folder $DISK, syncs, and writes
 * behind the end of a file, do not return; while there is fail-sync or fail-write they fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *path(char *to, const char *what, const char *operation) {
    snprintf(to, 4096, "%s/%s-%s", getenv("DISK"), what, operation);
    return to;
}

static int works(const char *operation) {
    char name[4096];
    while (access(path(name, "hang", operation), F_OK) == 0)
        usleep(1000);
    if (access(path(name, "fail", operation), F_OK) == 0) {
        errno = EIO;
        return 0;
    }
    return 1;
}

int fdatasync(int fd) {
    return works("sync") ? (int)syscall(SYS_fdatasync, fd) : -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct stat there;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &there) == 0 && S_ISREG(there.st_mode) && !works("write"))
        return -1;
    return syscall(SYS_write, fd, bytes, count);
}
