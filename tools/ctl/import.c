/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.c - kolk-ctl import: reads a tools file of others, writes a configuration, and reports
 * what each option became. The file's structure is checked as a whole first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/ctl/ctl.h"
#include "tools/ctl/import.h"
#include "tools/ctl/text.h"

/* ---- reading */

/* What has entries with names: a map, or a list of maps. */
static void entries_check(struct import *import, const struct kolk__node *all)
{
	struct kolk__reading *r = &import->reading;

	if (all == NULL || all->kind == KOLK__NOTHING)
		return;
	if (all->kind == KOLK__TEXT) {
		kolk__wrong(kolk__at(r, all), "write a name and its options below it",
			    "'%s' is a value, not a map", all->key);
		return;
	}
	for (const struct kolk__node *node = all->first; node != NULL; node = node->next)
		if (node->kind == KOLK__TEXT || node->kind == KOLK__LIST)
			kolk__wrong(kolk__at(r, node), "",
				    "an entry of '%s' is a map of options, not a %s", all->key,
				    node->kind == KOLK__TEXT ? "value" : "list");
}

/* The tree of the file; NULL = the error says why. */
static const struct kolk__node *file_take(struct import *import)
{
	struct kolk__reading *r = &import->reading;
	const struct kolk__node *root = kolk__tree_load(r);

	if (root == NULL)
		return NULL;
	if (root->kind != KOLK__MAP) {
		kolk__wrong(kolk__at(r, root), "", "this is no file with 'pools' and 'tools'");
		return NULL;
	}
	if (kolk__tree_find(root, "pools") == NULL && kolk__tree_find(root, "tools") == NULL)
		kolk__wrong(kolk__at(r, root), "",
			    "neither 'pools' nor 'tools' is in this file");
	entries_check(import, kolk__tree_find(root, "pools"));
	entries_check(import, kolk__tree_find(root, "tools"));
	return r->error->mistakes == 0 ? root : NULL;
}

/* ---- translating */

static void translate(struct import *import, const struct kolk__node *root)
{
	const struct kolk__node *pools = kolk__tree_find(root, "pools");
	const struct kolk__node *tools = kolk__tree_find(root, "tools");

	if (pools != NULL)
		import_pools(import, pools);
	import_pools_write(import);
	if (tools != NULL)
		import_tools(import, tools);
	import_gateway(import, root);
}

/* ---- writing */

/* What is written beside the file and then takes its place: whole or not at all. */
static bool file_write(const struct request *request, const char *text, size_t size)
{
	const bool force = (request->given & OPTION_FORCE) != 0;
	char path[4096];
	FILE *file = NULL;
	bool ok;
	int fd;

	if (snprintf(path, sizeof path, "%s.XXXXXX", request->output) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = mkostemp(path, O_CLOEXEC); /* 0600: a value may be a secret that no name betrays */
	if (fd < 0)
		return false;
	file = fdopen(fd, "w");
	ok = file != NULL && fwrite(text, 1, size, file) == size && fflush(file) == 0 &&
	     fsync(fd) == 0 &&
	     (force ? rename(path, request->output) : link(path, request->output)) == 0;
	if (!ok || !force)
		unlink(path);
	if (file != NULL)
		fclose(file);
	else
		close(fd);
	return ok;
}

static bool has_file(const struct request *request)
{
	return request->output != NULL && strcmp(request->output, "-") != 0;
}

static enum outcome complain_of_output(const struct request *request, const char *why)
{
	char problem[700], clean[600];

	snprintf(problem, sizeof problem, "%s %s",
		 text_clean(request->output, clean, sizeof clean, 0), why);
	return complain(USAGE, problem);
}

static enum outcome output_write(const struct request *request, const char *text, size_t size)
{
	char why[300];

	if (!has_file(request)) {
		fwrite(text, 1, size, stdout);
		return DONE;
	}
	if (file_write(request, text, size))
		return DONE;
	snprintf(why, sizeof why, "cannot be written: %s",
		 errno == EEXIST ? "it exists; --force writes over it" : strerror(errno));
	return complain_of_output(request, why);
}

static void report_print(struct import *import, const struct request *request)
{
	char clean[600];

	table_sort(&import->report, 0, true);
	table_print(&import->report, stderr, isatty(2) && getenv("NO_COLOR") == NULL);
	fprintf(stderr, "%s: %u translated, %u left out\n",
		text_clean(request->file, clean, sizeof clean, 0), import->translated,
		import->left_out);
}

/* ---- the command */

static enum outcome usage_check(const struct request *request)
{
	if (request->json)
		return complain(USAGE, "import has no JSON");
	if ((request->given & OPTION_FORCE) != 0 && request->output == NULL)
		return complain(USAGE, "--force goes with --output");
	if (has_file(request) && (request->given & OPTION_FORCE) == 0 &&
	    access(request->output, F_OK) == 0)
		return complain_of_output(request, "exists; --force writes over it");
	return DONE;
}

static enum outcome run(struct import *import, const struct request *request)
{
	const struct kolk__node *root = file_take(import);
	char *text = NULL;
	size_t size = 0;
	enum outcome outcome;

	if (root == NULL) {
		complain_of_file(import->reading.error);
		return USAGE;
	}
	import->out = open_memstream(&text, &size);
	if (import->out == NULL)
		import_no_memory();
	import_report_open(import);
	translate(import, root);
	if (fclose(import->out) != 0)
		import_no_memory();
	outcome = output_write(request, text, size);
	if (outcome == DONE)
		report_print(import, request);
	table_close(&import->report);
	explicit_bzero(text, size);
	free(text);
	return outcome == DONE && import->left_out > 0 ? REFUSED : outcome;
}

enum outcome command_import(const struct request *request)
{
	static const char *const no_environment[] = { NULL };
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct import import = { .reading = { .name = request->file,
					      .environment = no_environment,
					      .schema = &kolk__schema,
					      .error = &error } };
	enum outcome outcome = usage_check(request);

	if (outcome != DONE)
		return outcome;
	import.reading.arena = &import.arena;
	outcome = run(&import, request);
	kolk__arena_free(&import.arena);
	return outcome;
}
