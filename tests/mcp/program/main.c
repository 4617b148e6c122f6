/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-mcp-fixture [--stdio] [--SWITCH[=VALUE] ...]: tests/mcp/fixture.h as a program. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mcp/fixture.h"

static int usage(FILE *file)
{
	fprintf(file, "kolk-mcp-fixture [--stdio] [--SWITCH[=VALUE] ...]\n"
		      "  An MCP server for tests: http://ADDRESS/mcp, or its standard input and output.\n"
		      "  Ends with SIGINT or SIGTERM, or the end of its input.\n\n");
	mcp_options_print(file);
	return file == stderr ? 2 : 0;
}

static bool option_read(struct mcp_options *options, const char *argument)
{
	const char *value = strchr(argument, '=');
	char name[32];

	if (strncmp(argument, "--", 2) != 0)
		return false;
	if (strcmp(argument, "--stdio") == 0)
		return options->stdio = true;
	snprintf(name, sizeof name, "%.*s",
		 (int)(value != NULL ? value - argument - 2 : (long)strlen(argument) - 2), argument + 2);
	return mcp_options_set(options, name, value != NULL ? value + 1 : "1");
}

static void noise(uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		fputc(i % 80 == 79 ? '\n' : 'n', stderr);
}

static void lines_read(struct mcp_fixture *fixture, const struct mcp_options *options)
{
	size_t capacity = 0;
	char *line = NULL;
	ssize_t size;

	while ((size = getline(&line, &capacity, stdin)) > 0) {
		noise(options->noise);
		if (line[size - 1] == '\n')
			size--;
		if (size > 0)
			mcp_fixture_line(fixture, line, (size_t)size);
	}
	free(line);
	while (options->ignore_end)
		pause();
}

int main(int argc, char **argv)
{
	struct mcp_options options = { .listen = NULL };
	struct mcp_fixture *fixture;
	int signal_number;
	sigset_t signals;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return usage(stdout);
		if (!option_read(&options, argv[i])) {
			fprintf(stderr, "kolk-mcp-fixture: %s?\n", argv[i]);
			return usage(stderr);
		}
	}
	if (!options.stdio && options.listen == NULL)
		options.listen = "127.0.0.1:0";
	signal(SIGPIPE, SIG_IGN);
	if (options.ignore_term)
		signal(SIGTERM, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (!options.stdio)
		pthread_sigmask(SIG_BLOCK, &signals, NULL);
	fixture = mcp_fixture_open(&options);
	if (fixture == NULL)
		return 1;
	if (options.listen != NULL) {
		fprintf(options.stdio ? stderr : stdout, "http%s://%s/mcp\n",
			options.certificate != NULL ? "s" : "", mcp_fixture_address(fixture));
		fflush(stdout);
	}
	if (options.stdio)
		lines_read(fixture, &options);
	else
		do
			sigwait(&signals, &signal_number);
		while (options.ignore_term && signal_number == SIGTERM);
	mcp_fixture_close(fixture);
	return 0;
}
