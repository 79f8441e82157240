#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8
#define CALLS 8192
#define DEPTH 256
#define COROUTINES 16

/* A line of the print: a call, or one of a coroutine's that is open when it goes on. */
struct call {
    char name[48];
    const char *language;
    int depth, outside, again, returned;
};

struct coroutine {
    int n, calls[DEPTH];
};

struct tree {
    char name[16];
    int n, depth, outside;
    struct call calls[CALLS];
    int open[DEPTH];
    struct coroutine suspended[COROUTINES];
};

static struct tree trees[THREADS];
static _Thread_local struct tree *tree;

static void need(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "the tree has no room for %s\n", what);
        abort();
    }
}

void tree_begin(const char *name, int place) {
    need(place < THREADS, "this thread");
    tree = &trees[place];
    snprintf(tree->name, sizeof tree->name, "%s", name);
}

void tree_from_outside(void) {
    tree->outside = 1;
}

static struct call *line(void) {
    need(tree->n < CALLS && tree->depth < DEPTH, "this call");
    struct call *call = &tree->calls[tree->n++];
    call->depth = tree->depth;
    call->outside = tree->outside;
    tree->outside = 0;
    return call;
}

int tree_enter(const char *language, const char *name) {
    struct call *call = line();
    call->language = language;
    snprintf(call->name, sizeof call->name, "%s", name);
    int number = (int)(call - tree->calls);
    tree->open[tree->depth++] = number;
    return number;
}

void tree_caught(int call) {
    while (tree->depth > 0 && tree->open[tree->depth - 1] != call) tree->depth--;
    need(tree->depth > 0, "a call that is over");
}

void tree_leave(int call) {
    tree_caught(call);
    tree->calls[call].returned = 1;
    tree->depth--;
}

void tree_suspend(int call) {
    struct coroutine *coroutine = tree->suspended;
    while (coroutine->n > 0) need(++coroutine < tree->suspended + COROUTINES, "this coroutine");
    int base = 0;
    while (base < tree->depth && tree->open[base] != call) base++;
    need(base < tree->depth, "a coroutine that is over");
    coroutine->n = tree->depth - base;
    memcpy(coroutine->calls, tree->open + base, coroutine->n * sizeof(int));
    tree->depth = base;
}

void tree_again(int call) {
    struct coroutine *coroutine = tree->suspended;
    while (coroutine->n == 0 || coroutine->calls[0] != call)
        need(++coroutine < tree->suspended + COROUTINES, "a coroutine that did not yield");
    for (int i = 0; i < coroutine->n; i++) {
        struct call *again = line(), *first = &tree->calls[coroutine->calls[i]];
        again->language = first->language;
        memcpy(again->name, first->name, sizeof again->name);
        again->again = 1;
        tree->open[tree->depth++] = coroutine->calls[i];
    }
    coroutine->n = 0;
}

void tree_print(void) {
    for (struct tree *tree = trees; tree < trees + THREADS; tree++) {
        if (tree->n == 0) continue;
        printf("thread %s\n", tree->name);
        for (struct call *call = tree->calls; call < tree->calls + tree->n; call++) {
            const char *outside = call->outside ? "> " : "", *again = call->again ? "again " : "";
            const char *died = call->again || call->returned ? "" : " !";
            printf("%*s%s%s%s %s%s\n", 2 * call->depth + 2, "", outside, again, call->language, call->name, died);
        }
    }
}
