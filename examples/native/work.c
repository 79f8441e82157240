// A C program that says what it does. Build: cc -I ../../crates/agent/include -o work work.c -lpthread
#include <pthread.h>
#include <stdio.h>

#include "tickscope.h"

static uint64_t handed_over;

static long sum(long n) {
    static const TickscopeName *name;
    if (!name)
        name = tickscope_place("sum", __FILE__, __LINE__);
    uint64_t span = tickscope_begin(name);
    long total = 0;
    for (long i = 1; i <= n; i++)
        total += i % 7;
    tickscope_number(tickscope_name("n"), (double)n);
    tickscope_end(span);
    return total;
}

static void *other_thread(void *argument) {
    tickscope_name_thread("worker");
    uint64_t span = tickscope_begin_from(tickscope_name("job"), handed_over);
    printf("%ld\n", sum(*(long *)argument));
    tickscope_fail(span);
    return NULL;
}

int main(void) {
    const TickscopeName *request = tickscope_name("request");
    for (int i = 0; i < 100; i++) {
        uint64_t span = tickscope_begin(request);
        tickscope_text(tickscope_name("path"), "/index.html");
        sum(1000 + i);
        tickscope_counter(tickscope_name("requests"), i + 1);
        tickscope_end(span);
    }
    tickscope_instant(tickscope_name("half way"));
    uint64_t span = tickscope_begin(request);
    handed_over = tickscope_flow();
    tickscope_end(span);
    long n = 100000;
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, &n);
    pthread_join(thread, NULL);
    printf("%s\n", tickscope_recorded() ? "recorded" : "not recorded");
    return 3;
}
