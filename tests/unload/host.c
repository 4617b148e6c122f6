/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - a program that loads a plugin, uses it on threads of its own, and unloads it while these
 * go on: they end, and the process forks and exits, with nothing of Kolk there any more.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct user {
	bool (*use)(void);
	sem_t used, unloaded;
	bool fine;
};

static void *run(void *arg)
{
	struct user *user = arg;

	user->fine = user->use();
	sem_post(&user->used);
	sem_wait(&user->unloaded);
	return NULL;
}

static bool fork_works(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Whether anything of Kolk is mapped, by name. */
static bool is_there(const char *plugin)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool there = false;

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		there |= strstr(line, plugin) != NULL || strstr(line, "libkolk") != NULL;
	if (maps != NULL)
		fclose(maps);
	return there;
}

/* On a thread that outlives the plugin. */
static bool on_a_thread(const char *plugin)
{
	void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	struct user user = { .fine = false };
	pthread_t thread;

	if (library == NULL) {
		printf("# %s\n", dlerror());
		return false;
	}
	*(void **)&user.use = dlsym(library, "plugin_use");
	sem_init(&user.used, 0, 0);
	sem_init(&user.unloaded, 0, 0);
	if (pthread_create(&thread, NULL, run, &user) != 0)
		return false;
	sem_wait(&user.used);
	dlclose(library);
	sem_post(&user.unloaded);
	pthread_join(thread, NULL);
	return user.fine && fork_works();
}

/* On the thread that unloads it, and exits. */
static bool on_this(const char *plugin)
{
	void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	bool (*use)(void);
	bool fine;

	if (library == NULL)
		return false;
	*(void **)&use = dlsym(library, "plugin_use");
	fine = use();
	dlclose(library);
	return fine && fork_works();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (int i = 0; i < 20; i++)
		if (!on_a_thread(argv[1]))
			return 1;
	/* What kept it for a thread's end lets go of it at the next unloading. */
	dlclose(dlopen(argv[1], RTLD_NOW | RTLD_LOCAL));
	if (is_there(argv[1])) {
		puts("# it is still there");
		return 1;
	}
	return !on_this(argv[1]);
}
