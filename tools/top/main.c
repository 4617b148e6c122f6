/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-top: a running gateway, seen live. */
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/ctl/text.h"
#include "tools/top/top.h"

/* Of a picture as text: as wide as asked for, else as a pool with each column of its table needs, with
 * names of common lengths; as long as it takes. */
enum { ONCE_ROWS = 400, ONCE_COLUMNS = 200, ONCE_ASIDE = 30, ROWS_ASIDE = 4 };

static int usage(FILE *file, int status)
{
	fputs("kolk-top [--socket PATH | --url URL] [--token-file FILE] [--interval 1s] "
	      "[--once]\n\n"
	      "  --interval D  ask so often, 100ms to 1h; the rates are per second in any "
	      "case\n"
	      "  --once        print one picture as text, with the rates of one interval\n\n"
	      "Where it asks, the token and the exit codes are those of kolk-ctl. Keys: ? "
	      "shows them.\n",
	      file);
	return status;
}

static enum outcome complain(enum outcome outcome, const char *problem)
{
	fprintf(stderr, "kolk-top: %s\n", problem);
	return outcome;
}

/* ---- asking */

static void remember(struct top *top)
{
	struct summary summary;

	view_summary(top->status, top->before, &summary);
	if (summary.seconds <= 0)
		return;
	if (top->history_count == HISTORY)
		memmove(top->history, top->history + 1, (HISTORY - 1) * sizeof top->history[0]);
	else
		top->history_count++;
	top->history[top->history_count - 1] = summary.acquired_s;
}

enum outcome top_poll(struct top *top)
{
	struct query query = { .path = "/api/pool-status" }; /* a filter fits */
	struct answer answer;
	enum outcome outcome;

	client_query(top->client, &query, "connections",
		     top->focus == SECTION_CONNECTIONS ? "1000" : "0");
	/* The server knows more than it lists. */
	if (top->filter[0] != 0)
		client_query(top->client, &query, "search", top->filter);
	outcome = client_call(top->client, &(struct call){ "GET", query.path, NULL }, &answer);
	if (outcome == DONE && !json_is_object(answer.json)) {
		outcome = REFUSED;
		snprintf(answer.problem, sizeof answer.problem,
			 "the answer is no JSON: is it kolk's admin server?");
	}
	memcpy(top->problem, answer.problem, sizeof top->problem);
	if (outcome == DONE) {
		json_decref(top->before);
		top->before = top->status;
		top->status = json_incref(answer.json);
		remember(top);
	}
	answer_free(&answer);
	return outcome;
}

/* ---- once, as text */

static int columns(void)
{
	const char *given = getenv("COLUMNS");
	struct winsize size = { 0 };
	int wide = given != NULL ? atoi(given) : 0;

	if (wide == 0 && isatty(1) && ioctl(1, TIOCGWINSZ, &size) == 0)
		wide = size.ws_col;
	return wide >= 40 && wide <= 1000 ? wide : ONCE_COLUMNS;
}

static void nap(uint64_t ms)
{
	struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

static enum outcome once(struct top *top)
{
	struct frame frame;
	enum outcome outcome = top_poll(top);

	if (outcome == DONE) {
		nap(top->interval_ms);
		outcome = top_poll(top);
	}
	if (outcome != DONE)
		return complain(outcome, top->problem);
	if (!frame_open(&frame, ONCE_ROWS, columns()))
		return complain(REFUSED, "out of memory");
	top->aside = ONCE_ASIDE;
	page_draw(top, &frame);
	frame.rows--; /* the keys */
	frame_print(&frame, stdout, isatty(1) && getenv("NO_COLOR") == NULL);
	frame_close(&frame);
	return fflush(stdout) == 0 ? DONE : REFUSED;
}

/* ---- arguments */

static const struct option longs[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "url", required_argument, NULL, 'l' },
	{ "token-file", required_argument, NULL, 't' },
	{ "interval", required_argument, NULL, 'i' },
	{ "once", no_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

/* -1 = go on; else exit with it. */
static int take(int letter, struct top *top, struct client_options *client, bool *is_once)
{
	switch (letter) {
	case 's':
		client->socket = optarg;
		return -1;
	case 'l':
		client->url = optarg;
		return -1;
	case 't':
		client->token_file = optarg;
		return -1;
	case 'o':
		*is_once = true;
		return -1;
	case 'i':
		if (text_to_ms(optarg, &top->interval_ms) && top->interval_ms >= 100 &&
		    top->interval_ms <= 3600000)
			return -1;
		return (int)complain(USAGE, "--interval is a duration from 100ms to 1h");
	case 'h':
		return usage(stdout, DONE);
	case 'v':
		return puts("kolk-top " KOLK_VERSION) < 0;
	default: /* getopt has said which */
		fprintf(stderr, "kolk-top --help lists the options\n");
		return USAGE;
	}
}

int main(int argc, char **argv)
{
	struct top top = { .interval_ms = 1000, .aside = ROWS_ASIDE };
	struct client_options client = { .timeout_ms = 5000 };
	bool is_once = false;
	enum outcome outcome;
	int letter, status;

	setlocale(LC_CTYPE, "");
	while ((letter = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		status = take(letter, &top, &client, &is_once);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return usage(stderr, USAGE);
	top.client = client_open(&client, top.problem, sizeof top.problem);
	if (top.client == NULL)
		return (int)complain(USAGE, top.problem);
	outcome = is_once ? once(&top) : screen_run(&top);
	client_close(top.client);
	json_decref(top.status);
	json_decref(top.before);
	return (int)outcome;
}
