/* A wall clock of a test's own, for a program that is started with it preloaded: CLOCK_BEGAN seconds since 1970 when the
 * monotonic clock showed CLOCK_STARTED, and CLOCK_SPEED times as fast. The monotonic clock, and what waits by it, stay. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*system_clock)(clockid_t, struct timespec *);
static double began, started, speed;

__attribute__((constructor)) static void set(void) {
  system_clock = dlsym(RTLD_NEXT, "clock_gettime");
  began = atof(getenv("CLOCK_BEGAN"));
  started = atof(getenv("CLOCK_STARTED"));
  speed = atof(getenv("CLOCK_SPEED"));
}

int clock_gettime(clockid_t which, struct timespec *shown) {
  if (system_clock == NULL) set();
  int failed = system_clock(which == CLOCK_REALTIME ? CLOCK_MONOTONIC : which, shown);
  if (failed || which != CLOCK_REALTIME) return failed;
  double now = began + ((double)shown->tv_sec + (double)shown->tv_nsec / 1e9 - started) * speed;
  shown->tv_sec = (time_t)floor(now);
  shown->tv_nsec = (long)((now - floor(now)) * 1e9);
  return 0;
}

int gettimeofday(struct timeval *restrict shown, void *restrict zone) {
  struct timespec now;
  (void)zone;
  int failed = clock_gettime(CLOCK_REALTIME, &now);
  shown->tv_sec = now.tv_sec;
  shown->tv_usec = now.tv_nsec / 1000;
  return failed;
}

time_t time(time_t *shown) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (shown != NULL) *shown = now.tv_sec;
  return now.tv_sec;
}
