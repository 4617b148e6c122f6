/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-ctl: ask a running gateway, tell it what to do, or check a file for it. */
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ctl/ctl.h"
#include "tools/ctl/text.h"

static const struct command {
	const char *name, *arguments, *summary;
	unsigned options; /* enum given */
	command_fn *run;
} commands[] = {
	{ "status", "[--pool P] [--user U] [--connections]", "what is open, and for which tenants",
	 OPTION_POOL | OPTION_USER | OPTION_CONNECTIONS, command_status },
	{ "cleanup", "[--pool P] [--user U] [--idle 5m]", "close idle connections",
	 OPTION_POOL | OPTION_USER | OPTION_IDLE, command_cleanup },
	{ "warmup", "--pool P | --user U", "dial what is to be kept ready",
	 OPTION_POOL | OPTION_USER, command_warmup },
	{ "drain", "--pool P | --all [--grace 10s] [--yes]", "refuse callers until resume",
	 OPTION_POOL | OPTION_ALL | OPTION_GRACE | OPTION_YES, command_drain },
	{ "resume", "--pool P | --all", "serve again what was drained",
	 OPTION_POOL | OPTION_ALL, command_resume },
	{ "evict", "--pool P | --user U | --all [--yes]", "replace every connection by a new one",
	 OPTION_POOL | OPTION_USER | OPTION_ALL | OPTION_YES, command_evict },
	{ "reload", "", "read the configuration again", 0, command_reload },
	{ "check", "FILE", "is this configuration right", OF_FILE, command_check },
	{ "import", "FILE [--output FILE] [--force]", "a tools file of others as a configuration",
	 OF_FILE | OPTION_OUTPUT | OPTION_FORCE, command_import },
	{ "metrics", "", "what Prometheus would scrape", 0, command_metrics },
	{ "health", "", "does it live, and is it ready", 0, command_health },
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int usage(FILE *file, int status)
{
	fputs("kolk-ctl [--socket PATH | --url URL] [--token-file FILE] [--json] COMMAND "
	      "...\n\n",
	      file);
	for (int i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-8s %-41s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fputs("\nWithout --socket and --url it asks at $KOLK_ADMIN_LISTEN (\"unix:/path\" or "
	      "\"ip:port\"), else at\n/run/kolk/admin.sock. The token comes from --token-file "
	      "or $KOLK_ADMIN_TOKEN.\n"
	      "Exit: 0 done, 1 the gateway refused or failed, 2 wrong usage, 3 no "
	      "connection.\n",
	      file);
	return status;
}

static int wrong(const char *what, const char *value, const char *hint)
{
	char clean[200];

	fprintf(stderr, "kolk-ctl: %s%s%s\n", what, text_clean(value, clean, sizeof clean, 60),
		hint);
	return USAGE;
}

enum outcome complain(enum outcome outcome, const char *problem)
{
	fprintf(stderr, "kolk-ctl: %s\n", problem);
	return outcome;
}

static const struct command *command_of(const char *name)
{
	for (int i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static const struct option longs[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "url", required_argument, NULL, 'l' },
	{ "token-file", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ "pool", required_argument, NULL, 'p' },
	{ "user", required_argument, NULL, 'u' },
	{ "idle", required_argument, NULL, 'i' },
	{ "grace", required_argument, NULL, 'g' },
	{ "connections", no_argument, NULL, 'c' },
	{ "yes", no_argument, NULL, 'y' },
	{ "all", no_argument, NULL, 'a' },
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ 0 },
};

static unsigned bit_of(int letter)
{
	static const char letters[] = "puigcyaof"; /* in the order of enum given */
	const char *at = strchr(letters, letter);

	return at != NULL ? 1u << (at - letters) : 0;
}

/* 0 = go on; else exit with it. */
static int take(int letter, struct request *request, struct client_options *client)
{
	request->given |= bit_of(letter);
	switch (letter) {
	case 's':
		client->socket = optarg;
		return 0;
	case 'l':
		client->url = optarg;
		return 0;
	case 't':
		client->token_file = optarg;
		return 0;
	case 'j':
		request->json = true;
		return 0;
	case 'p':
		request->pool = optarg;
		return 0;
	case 'u':
		request->user = optarg;
		return 0;
	case 'o':
		request->output = optarg;
		return 0;
	case 'i':
		return text_to_ms(optarg, &request->idle_ms)
			       ? 0
			       : wrong("--idle ", optarg,
				       " is no duration; it is like 5m, 30s or 250ms");
	case 'g':
		return text_to_ms(optarg, &request->grace_ms)
			       ? 0
			       : wrong("--grace ", optarg,
				       " is no duration; it is like 10s or 1m");
	case '?': /* getopt has said which */
		fprintf(stderr, "kolk-ctl --help lists the options\n");
		return USAGE;
	default:
		return bit_of(letter) != 0 ? 0 : USAGE;
	}
}

/* Each command takes its own options and no others. */
static int check(const struct command *command, const struct request *request)
{
	unsigned foreign = request->given & ~command->options;

	for (int i = 0; longs[i].name != NULL; i++)
		if ((bit_of(longs[i].val) & foreign) != 0) {
			fprintf(stderr, "kolk-ctl: %s does not take --%s\n", command->name,
				longs[i].name);
			return USAGE;
		}
	return 0;
}

static int run(const struct command *command, struct request *request,
	       const struct client_options *options)
{
	char problem[600];
	enum outcome outcome;

	if ((command->options & OF_FILE) == 0) {
		request->client = client_open(options, problem, sizeof problem);
		if (request->client == NULL)
			return (int)complain(USAGE, problem);
	}
	request->colour = isatty(1) && getenv("NO_COLOR") == NULL;
	outcome = command->run(request);
	client_close(request->client);
	if (fflush(stdout) != 0 && outcome == DONE)
		return (int)complain(REFUSED, "the standard output cannot be written");
	return (int)outcome;
}

int main(int argc, char **argv)
{
	struct request request = { .grace_ms = 10000 };
	struct client_options client = { 0 };
	const struct command *command;
	int letter, status;

	setlocale(LC_CTYPE, "");
	while ((letter = getopt_long(argc, argv, "hjo:", longs, NULL)) != -1) {
		if (letter == 'h')
			return usage(stdout, DONE);
		if (letter == 'v')
			return puts("kolk-ctl " KOLK_VERSION) < 0;
		status = take(letter, &request, &client);
		if (status != 0)
			return status;
	}
	if (optind == argc)
		return usage(stderr, USAGE);
	command = command_of(argv[optind]);
	if (command == NULL)
		return wrong("there is no command '", argv[optind],
			     "'; kolk-ctl --help lists them");
	if ((command->options & OF_FILE) != 0)
		request.file = argv[++optind];
	if (optind == argc)
		return wrong("", command->name, " takes a FILE");
	if (optind + 1 < argc)
		return wrong("one command at a time, and no '", argv[optind + 1], "'");
	status = check(command, &request);
	return status != 0 ? status : run(command, &request, &client);
}
