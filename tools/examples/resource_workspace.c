/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource_workspace.c - scratch directories as a pool: made ahead, emptied between two users.
 *
 * What a job leaves in its directory is gone before the next job gets it. A directory that
 * cannot be emptied is not handed out again, and one that was removed is noticed.
 */
#define _GNU_SOURCE
#include <kolk/kolk.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct workspace {
	char path[128];
};

/* On a worker thread: it may block. The path contains the tenant's name. */
static enum kolk_err create_for(void *user, struct kolk_resource_request *request, void **resource)
{
	struct workspace *space = calloc(1, sizeof *space);

	if (space == NULL)
		return KOLK_E_MEMORY;
	snprintf(space->path, sizeof space->path, "%s/%.32s-XXXXXX", (const char *)user,
		 kolk_key_tenant(request->key));
	if (mkdtemp(space->path) == NULL) {
		request->os_error = errno; /* kolk_key_failure tells it */
		free(space);
		return KOLK_E_RESOURCE;
	}
	*resource = space;
	return KOLK_OK;
}

/* Files alone: jobs of this program make no directories. */
static bool is_emptied(const struct workspace *space)
{
	DIR *directory = opendir(space->path);
	struct dirent *entry;
	bool emptied = directory != NULL;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			emptied &= unlinkat(dirfd(directory), entry->d_name, 0) == 0;
	if (directory != NULL)
		closedir(directory);
	return emptied;
}

/* At release, on the releasing thread. Anything but KOLK_OK: it is destroyed. */
static enum kolk_err reset(void *user, void *resource)
{
	(void)user;
	return is_emptied(resource) ? KOLK_OK : KOLK_E_RESOURCE;
}

/* Now and then, while it is idle. */
static enum kolk_err validate(void *user, void *resource)
{
	const struct workspace *space = resource;

	(void)user;
	return access(space->path, W_OK | X_OK) == 0 ? KOLK_OK : KOLK_E_RESOURCE;
}

static void destroy(void *user, void *resource)
{
	struct workspace *space = resource;

	(void)user;
	(void)is_emptied(space);
	rmdir(space->path);
	free(space);
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .name = "workspace", .create_for = create_for,
	.validate = validate, .reset = reset, .destroy = destroy
};

/* A job: it finds its directory empty and leaves a file. */
static enum kolk_err job(struct kolk_key *key, bool *was_empty)
{
	struct kolk_lease lease;
	const struct workspace *space;
	char path[160];
	struct stat there;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(2000), &lease);
	int file;

	if (err != KOLK_OK)
		return err;
	space = kolk_lease_resource(&lease);
	snprintf(path, sizeof path, "%s/draft", space->path);
	*was_empty &= stat(path, &there) != 0;
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (file >= 0)
		close(file);
	return kolk_release(&lease);
}

int main(void)
{
	char base[] = "/tmp/kolk-example-XXXXXX";
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	bool was_empty = true;
	enum kolk_err err = KOLK_OK;

	options.name = "workspaces";
	options.resource = &driver;
	options.driver_user = mkdtemp(base); /* lives as long as the pool */
	options.connections_max = 4;
	who.tenant = "alice";
	if (options.driver_user == NULL ||
	    kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK ||
	    kolk_key_open(pool, &who, &key) != KOLK_OK)
		return 1;
	for (int i = 0; i < 1000 && err == KOLK_OK; i++)
		err = job(key, &was_empty);
	if (err != KOLK_OK)
		fprintf(stderr, "%s\n", kolk_err_text(err));
	if (kolk_pool_stats(pool, &stats) == KOLK_OK)
		printf("1000 jobs in %llu directories, each was %s\n",
		       (unsigned long long)stats.created, was_empty ? "empty" : "NOT EMPTY");
	kolk_key_close(key);
	kolk_engine_destroy(engine); /* destroys every directory */
	return err != KOLK_OK || !was_empty || rmdir(base) != 0;
}
