// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// For LD_PRELOAD: counts allocations, and the system calls that a server makes for an echo, into the file that
// BENCH_COUNT names: two numbers of 8 bytes that can be read at any time. It slows down nothing, which strace does, and
// so leaves it as it is how many echoes a wake-up brings; but it does not see who goes around the C library.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

struct counters
{
    uint64_t allocations;
    uint64_t calls;
};

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

static struct counters before_the_file;
static struct counters* counters = &before_the_file;

static void count(uint64_t* counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void begin(void)
{
    char const* const name = getenv("BENCH_COUNT");
    int const descriptor = name ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (descriptor < 0 || ftruncate(descriptor, sizeof *counters) != 0)
        return;
    void* const shared = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (shared != MAP_FAILED)
        counters = shared;
}

void* malloc(size_t size)
{
    count(&counters->allocations);
    return __libc_malloc(size);
}

void* calloc(size_t number, size_t size)
{
    count(&counters->allocations);
    return __libc_calloc(number, size);
}

void* realloc(void* memory, size_t size)
{
    count(&counters->allocations);
    return __libc_realloc(memory, size);
}

void* aligned_alloc(size_t alignment, size_t size)
{
    count(&counters->allocations);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, size_t alignment, size_t size)
{
    count(&counters->allocations);
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

// clang-format off
#define COUNTED(result, name, parameters, arguments) \
    result name parameters \
    { \
        static result (*next) parameters; \
        if (!next) \
            *(void**)&next = dlsym(RTLD_NEXT, #name); \
        count(&counters->calls); \
        return next arguments; \
    }

COUNTED(ssize_t, read, (int fd, void* b, size_t n), (fd, b, n))
COUNTED(ssize_t, readv, (int fd, struct iovec const* v, int n), (fd, v, n))
COUNTED(ssize_t, recv, (int fd, void* b, size_t n, int flags), (fd, b, n, flags))
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr* m, int flags), (fd, m, flags))
COUNTED(ssize_t, write, (int fd, void const* b, size_t n), (fd, b, n))
COUNTED(ssize_t, writev, (int fd, struct iovec const* v, int n), (fd, v, n))
COUNTED(ssize_t, send, (int fd, void const* b, size_t n, int flags), (fd, b, n, flags))
COUNTED(ssize_t, sendmsg, (int fd, struct msghdr const* m, int flags), (fd, m, flags))
COUNTED(int, epoll_ctl, (int e, int what, int fd, struct epoll_event* event), (e, what, fd, event))
COUNTED(int, epoll_wait, (int e, struct epoll_event* events, int n, int time), (e, events, n, time))
COUNTED(int, epoll_pwait, (int e, struct epoll_event* events, int n, int time, sigset_t const* mask),
    (e, events, n, time, mask))
COUNTED(int, timerfd_settime, (int fd, int flags, struct itimerspec const* next_time, struct itimerspec* old),
    (fd, flags, next_time, old))
// clang-format on

// Declared with an ellipsis, which cannot be passed on. Every request has one argument, of the size of a pointer.
int ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, ...);
    if (!next)
        *(void**)&next = dlsym(RTLD_NEXT, "ioctl");
    count(&counters->calls);
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    return next(fd, request, argument);
}
