/* The calls that a thread makes, as the functions themselves tell of them. Each thread has a tree of its own. */
#ifndef TREE_H
#define TREE_H

/* The tree of the calling thread has a name from now on, and is printed as number `place`. */
void tree_begin(const char *name, int place);

/* The next call comes from outside: of Lua by a thread that was not in Lua, or of a C# method by C. */
void tree_from_outside(void);

/* A function begins; its number, for the others. */
int tree_enter(const char *language, const char *name);

/* It returns. What it called and did not return has died. */
void tree_leave(int call);

/* It goes on after an error: what it called and did not return has died. */
void tree_caught(int call);

/* The coroutine whose outermost function is `call` is about to yield, and is back. */
void tree_suspend(int call);
void tree_again(int call);

/* Prints every tree. Other threads have ended. */
void tree_print(void);

#endif
