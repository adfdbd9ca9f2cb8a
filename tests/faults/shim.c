/* Faults on demand, preloaded: the n-th write, open, flush or rename of a process fails, kills it, or signals its parent.
 *
 * Only what changes regular files outside /dev and /proc counts; standard output and error do not. `fault_arm` sets what
 * happens, `fault_counts` tells what was counted, in memory that a process shares with those it forks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE, OPEN, MAKE, FLUSH, RENAME, CLASSES }; /* MAKE: folders, links, removals */
enum { NOTHING, FAIL, FAIL_ON, MEMORY, KILL_BEFORE, KILL_AFTER, SIGNAL, CLOCK };

typedef struct {
  long counts[CLASSES];
  long points;   /* of the armed classes */
  long fired;
  long calls;    /* into native libraries, as the harness notes them */
  char path[240]; /* where it fired */
} Shared;

static Shared *shared;
static int act = NOTHING, mask, number;
static long at;
static long step; /* seconds, of the clock */
static volatile int starve, jumped;
static __thread int inside;

extern void *__libc_malloc(size_t);

void fault_share(void) {
  if (!shared)
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* What happens at the n-th event of the classes in `classes` (bits): `what` with errno or signal `code`. */
void fault_arm(int what, int classes, long n, int code, long seconds) {
  fault_share();
  memset(shared, 0, sizeof *shared);
  act = what, mask = classes, at = n, number = code, step = seconds;
}

void fault_disarm(void) { act = NOTHING; }

long fault_counts(int which) { return !shared ? 0 : which < CLASSES ? shared->counts[which] : shared->points; }
void fault_note_call(void) { __sync_fetch_and_add(&shared->calls, 1); }
long fault_calls(void) { return shared ? shared->calls : 0; }
long fault_fired(void) { return shared ? shared->fired : 0; }
const char *fault_path(void) { return shared ? shared->path : ""; }

static void name_of(int fd, char *into, size_t size) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, into, size - 1);
  into[n > 0 ? n : 0] = 0;
}

static void fire(const char *path) {
  if (!__sync_fetch_and_add(&shared->fired, 1)) {
    strncpy(shared->path, path, sizeof shared->path - 1);
  }
}

/* Whether the call is to fail; the other things happen here. */
static int event(int class, const char *path) {
  if (!shared || act == NOTHING || inside) return 0;
  inside = 1;
  int saved = errno, fail = 0;
  __sync_fetch_and_add(&shared->counts[class], 1);
  if (mask & (1 << class)) {
    long now = __sync_add_and_fetch(&shared->points, 1);
    if (now == at || (act == FAIL_ON && now > at)) {
      if (act != KILL_AFTER) fire(path);
      if (act == FAIL || act == FAIL_ON) fail = 1;
      if (act == MEMORY) starve = 1;
      if (act == KILL_BEFORE) kill(getpid(), SIGKILL);
      if (act == SIGNAL) kill(getppid(), number);
      if (act == CLOCK) jumped = 1;
    }
  }
  inside = 0;
  errno = fail ? number : saved;
  return fail;
}

/* After a call that went through. */
static void after(const char *path) {
  if (shared && act == KILL_AFTER && shared->points == at && !shared->fired) {
    fire(path);
    kill(getpid(), SIGKILL);
  }
}

static int event_fd(int class, int fd) {
  if (!shared || act == NOTHING || inside || fd <= 2) return 0;
  struct stat status;
  int saved = errno;
  char path[240];
  if (fstat(fd, &status) || !(S_ISREG(status.st_mode) || (class == FLUSH && S_ISDIR(status.st_mode)))) {
    errno = saved;
    return 0;
  }
  name_of(fd, path, sizeof path);
  errno = saved;
  return event(class, path);
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  return event_fd(WRITE, fd) ? -1 : real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t where) {
  REAL(pwrite);
  return event_fd(WRITE, fd) ? -1 : real(fd, data, size, where);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) {
  REAL(pwrite64);
  return event_fd(WRITE, fd) ? -1 : real(fd, data, size, where);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  return event_fd(WRITE, fd) ? -1 : real(fd, parts, count);
}
size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
  REAL(fwrite);
  return event_fd(WRITE, fileno(stream)) ? 0 : real(data, size, count, stream);
}
int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  return event_fd(WRITE, fd) ? -1 : real(fd, size);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
  static ssize_t (*real)(int, int, off_t *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "sendfile");
  return event_fd(WRITE, out) ? -1 : real(out, in, offset, size);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) {
  static ssize_t (*real)(int, int, off64_t *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "sendfile64");
  return event_fd(WRITE, out) ? -1 : real(out, in, offset, size);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
  REAL(copy_file_range);
  return event_fd(WRITE, out) ? -1 : real(in, from, out, to, size, flags);
}
int fsync(int fd) {
  REAL(fsync);
  if (event_fd(FLUSH, fd)) return -1;
  int result = real(fd);
  after("fsync");
  return result;
}
int fdatasync(int fd) {
  REAL(fdatasync);
  if (event_fd(FLUSH, fd)) return -1;
  int result = real(fd);
  after("fdatasync");
  return result;
}

static int ignored(const char *path) { return !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6); }
static int event_open(const char *path, int flags) {
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
  return writes && !ignored(path) && event(OPEN, path);
}
static int event_fopen(const char *path, const char *mode) {
  return (strchr(mode, 'w') || strchr(mode, 'a') || strchr(mode, '+')) && !ignored(path) && event(OPEN, path);
}
#define MODE \
  mode_t mode = 0; \
  if (flags & (O_CREAT | __O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }
int open(const char *path, int flags, ...) {
  REAL(open);
  MODE return event_open(path, flags) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  REAL(open64);
  MODE return event_open(path, flags) ? -1 : real(path, flags, mode);
}
int openat(int at_fd, const char *path, int flags, ...) {
  REAL(openat);
  MODE return event_open(path, flags) ? -1 : real(at_fd, path, flags, mode);
}
int openat64(int at_fd, const char *path, int flags, ...) {
  REAL(openat64);
  MODE return event_open(path, flags) ? -1 : real(at_fd, path, flags, mode);
}
FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  return event_fopen(path, mode) ? NULL : real(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
  REAL(fopen64);
  return event_fopen(path, mode) ? NULL : real(path, mode);
}
int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return event(MAKE, path) ? -1 : real(path, mode);
}
int rename(const char *from, const char *to) {
  REAL(rename);
  if (event(RENAME, to)) return -1;
  int result = real(from, to);
  after(to);
  return result;
}
int renameat(int a, const char *from, int b, const char *to) {
  REAL(renameat);
  if (event(RENAME, to)) return -1;
  int result = real(a, from, b, to);
  after(to);
  return result;
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  REAL(renameat2);
  if (event(RENAME, to)) return -1;
  int result = real(a, from, b, to, flags);
  after(to);
  return result;
}

/* Memory: one block of a page or more is refused, the first that is asked for after the event. */
void *malloc(size_t size) {
  if (starve && size >= 4096 && __sync_bool_compare_and_swap(&starve, 1, 0)) {
    errno = ENOMEM;
    return NULL;
  }
  return __libc_malloc(size);
}

/* The wall clock: from the event on it is `step` seconds off, there and back at every look. */
static long off(void) {
  static int turn;
  return jumped ? (__sync_add_and_fetch(&turn, 1) & 1 ? step : -step) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int result = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += off();
  return result;
}
time_t time(time_t *into) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec fine;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &fine);
  now->tv_sec = fine.tv_sec, now->tv_usec = fine.tv_nsec / 1000;
  return 0;
}
