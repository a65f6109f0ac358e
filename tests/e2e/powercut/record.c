/* Records, in order, every change that a program makes to the files below one folder.

   Preloaded into the program. POWERCUT_ROOT names the folder, POWERCUT_LOG the file to append to.
   Each record is a line of words, and after it as many bytes as its last word says. Files and
   folders are named by their inodes:

     create INO FOLDER LENGTH name      mkdir INO FOLDER LENGTH name
     rename INO FOLDER FOLDER2 LENGTH LENGTH2 name name2
     remove FOLDER LENGTH name          truncate INO SIZE 0
     write INO OFFSET LENGTH data       flush INO 0

   One lock is held over the change and its record, so that their orders are the same. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int log_fd = -1;

typedef unsigned long long number;

typedef struct {
    int watched;
    number folder;
    char name[256];
} place;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("POWERCUT_LOG");
    root = getenv("POWERCUT_ROOT");
    if (root && log)
        log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (log_fd < 0)
        root = NULL;
}

static void hold(void) {
    pthread_mutex_lock(&mutex);
    while (flock(log_fd, LOCK_EX) && errno == EINTR) {
    }
}

static void release(int error) {
    flock(log_fd, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = error;
}

static void put(const char *data, size_t size) {
    while (size) {
        ssize_t done = syscall(SYS_write, log_fd, data, size);
        if (done < 0)
            abort();
        data += done;
        size -= done;
    }
}

static void say(const char *format, ...) {
    char line[1024];
    va_list words;
    va_start(words, format);
    int size = vsnprintf(line, sizeof line, format, words);
    va_end(words);
    put(line, size);
}

static int below(const char *path) {
    size_t size = strlen(root);
    return !strncmp(path, root, size) && (path[size] == '/' || path[size] == 0);
}

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return 1;
}

static int is_watched(int fd) {
    char path[4096];
    return root && fd != log_fd && path_of(fd, path, sizeof path) && below(path);
}

static place place_of(int folder_fd, const char *path) {
    place found = {0};
    char folder[4096];
    struct stat status;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!root || strlen(name) >= sizeof found.name)
        return found;
    if (path[0] == '/') {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash == path ? 1 : slash - path), path);
    } else {
        char base[2048];
        if (folder_fd == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(folder_fd, base, sizeof base))
            return found;
        snprintf(folder, sizeof folder, "%s%s%.*s", base, slash ? "/" : "",
                 (int)(slash ? slash - path : 0), path);
    }
    if (!below(folder) || stat(folder, &status))
        return found;
    found.watched = 1;
    found.folder = status.st_ino;
    strcpy(found.name, name);
    return found;
}

static number inode_at(int folder_fd, const char *path) {
    struct stat status;
    return fstatat(folder_fd, path, &status, AT_SYMLINK_NOFOLLOW) ? 0 : status.st_ino;
}

static int opened(int folder_fd, const char *path, int flags, mode_t mode) {
    if (!root || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE)
        return syscall(SYS_openat, folder_fd, path, flags, mode);
    hold();
    place at = place_of(folder_fd, path);
    number before = at.watched ? inode_at(folder_fd, path) : 0;
    int fd = syscall(SYS_openat, folder_fd, path, flags, mode), error = errno;
    if (fd >= 0 && at.watched) {
        number now = inode_at(folder_fd, path);
        if (!before) {
            say("create %llu %llu %zu\n", now, at.folder, strlen(at.name));
            put(at.name, strlen(at.name));
        } else if (flags & O_TRUNC) {
            say("truncate %llu 0 0\n", now);
        }
    }
    release(error);
    return fd;
}

#define MODE(flags, mode)                                                                          \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return opened(folder, path, flags, mode);
}

static ssize_t written(int fd, const void *data, size_t size, off_t at, int placed) {
    struct stat status;
    if (!is_watched(fd) || fstat(fd, &status) || !S_ISREG(status.st_mode))
        return placed ? syscall(SYS_pwrite64, fd, data, size, at) : syscall(SYS_write, fd, data, size);
    hold();
    fstat(fd, &status);
    if (fcntl(fd, F_GETFL) & O_APPEND)
        at = status.st_size;
    else if (!placed)
        at = lseek(fd, 0, SEEK_CUR);
    ssize_t done =
        placed ? syscall(SYS_pwrite64, fd, data, size, at) : syscall(SYS_write, fd, data, size);
    int error = errno;
    if (done > 0) {
        say("write %llu %lld %zd\n", (number)status.st_ino, (long long)at, done);
        put(data, done);
    }
    release(error);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, 0, 0); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return written(fd, data, size, at, 1);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return written(fd, data, size, at, 1);
}

static int truncated(int fd, off_t size) {
    struct stat status;
    if (!is_watched(fd))
        return syscall(SYS_ftruncate, fd, size);
    hold();
    int failed = syscall(SYS_ftruncate, fd, size), error = errno;
    if (!failed && !fstat(fd, &status))
        say("truncate %llu %lld 0\n", (number)status.st_ino, (long long)size);
    release(error);
    return failed;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }

int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static int flushed(int fd, long call) {
    struct stat status;
    if (!is_watched(fd))
        return syscall(call, fd);
    hold();
    int failed = syscall(call, fd), error = errno;
    if (!failed && !fstat(fd, &status))
        say("flush %llu 0\n", (number)status.st_ino);
    release(error);
    return failed;
}

int fsync(int fd) { return flushed(fd, SYS_fsync); }

int fdatasync(int fd) { return flushed(fd, SYS_fdatasync); }

static int renamed(int folder, const char *from, int folder2, const char *to) {
    if (!root)
        return syscall(SYS_renameat2, folder, from, folder2, to, 0);
    hold();
    place a = place_of(folder, from), b = place_of(folder2, to);
    int failed = syscall(SYS_renameat2, folder, from, folder2, to, 0), error = errno;
    if (!failed && (a.watched || b.watched)) {
        if (!a.watched || !b.watched)
            abort(); /* nothing that is watched may come from, or go, where nobody looks */
        say("rename %llu %llu %llu %zu %zu\n", inode_at(folder2, to), a.folder, b.folder,
            strlen(a.name), strlen(b.name));
        put(a.name, strlen(a.name));
        put(b.name, strlen(b.name));
    }
    release(error);
    return failed;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }

int renameat(int folder, const char *from, int folder2, const char *to) {
    return renamed(folder, from, folder2, to);
}

static int removed(int folder, const char *path, int flags) {
    if (!root)
        return syscall(SYS_unlinkat, folder, path, flags);
    hold();
    place at = place_of(folder, path);
    int failed = syscall(SYS_unlinkat, folder, path, flags), error = errno;
    if (!failed && at.watched) {
        say("remove %llu %zu\n", at.folder, strlen(at.name));
        put(at.name, strlen(at.name));
    }
    release(error);
    return failed;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

int unlinkat(int folder, const char *path, int flags) { return removed(folder, path, flags); }

static int made(int folder, const char *path, mode_t mode) {
    if (!root)
        return syscall(SYS_mkdirat, folder, path, mode);
    hold();
    place at = place_of(folder, path);
    int failed = syscall(SYS_mkdirat, folder, path, mode), error = errno;
    if (!failed && at.watched) {
        say("mkdir %llu %llu %zu\n", inode_at(folder, path), at.folder, strlen(at.name));
        put(at.name, strlen(at.name));
    }
    release(error);
    return failed;
}

int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }

int mkdirat(int folder, const char *path, mode_t mode) { return made(folder, path, mode); }
