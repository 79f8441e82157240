#include "managed.h"

#include <mono/jit/jit.h>
#include <mono/metadata/appdomain.h>
#include <mono/metadata/assembly.h>
#include <mono/metadata/exception.h>
#include <mono/metadata/threads.h>
#include <stdio.h>
#include <stdlib.h>

#include "tree.h"

static MonoDomain *domain;
static MonoClass *steps;
static int (*listener)(int);

static void text(MonoString *string, char *copy, size_t size) {
    char *text = mono_string_to_utf8(string);
    snprintf(copy, size, "%s", text);
    mono_free(text);
}

/* Nothing below owns anything when an exception is raised. */
static void raise(const char *message) {
    mono_raise_exception(mono_exception_from_name_msg(mono_get_corlib(), "System", "Exception", message));
}

static int enter(MonoString *string) {
    char name[64];
    text(string, name, sizeof name);
    return tree_enter("c#", name);
}

static int lua(MonoString *string, int argument) {
    int call = tree_enter("c", "Crossing.Native:Lua"), result;
    char function[64];
    text(string, function, sizeof function);
    if (lua_from_managed(function, argument, &result) != 0) raise("an error of Lua's");
    tree_leave(call);
    return result;
}

static int try_lua(MonoString *string, int argument) {
    int call = tree_enter("c", "Crossing.Native:TryLua"), result;
    char function[64];
    text(string, function, sizeof function);
    if (lua_from_managed(function, argument, &result) != 0) {
        tree_caught(call);
        result = -1;
    }
    tree_leave(call);
    return result;
}

static int resume(MonoString *string, int argument) {
    int call = tree_enter("c", "Crossing.Native:Resume");
    char function[64];
    text(string, function, sizeof function);
    int result = resume_from_managed(function, argument);
    tree_leave(call);
    return result;
}

static int invoke_with(const char *name, int argument, int *result, MonoObject **exception) {
    MonoMethod *method = mono_class_get_method_from_name(steps, name, 1);
    if (method == NULL) {
        fprintf(stderr, "there is no method %s\n", name);
        abort();
    }
    void *arguments[] = {&argument};
    tree_from_outside();
    MonoObject *boxed = mono_runtime_invoke(method, NULL, arguments, exception);
    if (exception != NULL && *exception != NULL) return -1;
    *result = *(int *)mono_object_unbox(boxed);
    return 0;
}

static int invoke(const char *name, int argument, int *result) {
    MonoObject *exception = NULL;
    return invoke_with(name, argument, result, &exception);
}

/* What the method throws passes through this function. */
static int again(MonoString *string, int argument) {
    int call = tree_enter("c", "Crossing.Native:Again"), result = 0;
    char method[64];
    text(string, method, sizeof method);
    invoke_with(method, argument, &result, NULL);
    tree_leave(call);
    return result;
}

static void listen(void *function) {
    int call = tree_enter("c", "Crossing.Native:Listen");
    listener = (int (*)(int))function;
    tree_leave(call);
}

static int callback(int argument) {
    return listener(argument);
}

static void begin(MonoString *string, int place) {
    char name[16];
    text(string, name, sizeof name);
    tree_begin(name, place);
}

static void open_lua(void) {
    int call = tree_enter("c", "Crossing.Native:Open");
    lua_open();
    tree_leave(call);
}

static void close_lua(void) {
    int call = tree_enter("c", "Crossing.Native:Close");
    lua_shut();
    tree_leave(call);
}

static void *attach(void) {
    return mono_thread_attach(domain);
}

static void detach(void *thread) {
    mono_thread_detach(thread);
}

static void stop(void) {
    mono_jit_cleanup(domain);
}

const struct managed *managed_start(const char *path) {
    static const struct managed managed = {invoke, callback, attach, detach, stop};
    domain = mono_jit_init("crossing");
    MonoAssembly *assembly = mono_domain_assembly_open(domain, path);
    if (assembly == NULL) return NULL;
    mono_add_internal_call("Crossing.Tree::Enter", (void *)enter);
    mono_add_internal_call("Crossing.Tree::Leave", (void *)tree_leave);
    mono_add_internal_call("Crossing.Tree::Caught", (void *)tree_caught);
    mono_add_internal_call("Crossing.Tree::Begin", (void *)begin);
    mono_add_internal_call("Crossing.Native::Lua", (void *)lua);
    mono_add_internal_call("Crossing.Native::TryLua", (void *)try_lua);
    mono_add_internal_call("Crossing.Native::Resume", (void *)resume);
    mono_add_internal_call("Crossing.Native::Again", (void *)again);
    mono_add_internal_call("Crossing.Native::Listen", (void *)listen);
    mono_add_internal_call("Crossing.Native::Open", (void *)open_lua);
    mono_add_internal_call("Crossing.Native::Close", (void *)close_lua);
    steps = mono_class_from_name(mono_assembly_get_image(assembly), "Crossing", "Steps");
    return steps == NULL ? NULL : &managed;
}
