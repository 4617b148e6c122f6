/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_load.c - mcp-load: see usage. */
#define _GNU_SOURCE /* epoll_pwait2 */
#include "bench/gateway/mcp_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: mcp-load legacy|modern|session PORT PATH CLIENTS SECONDS [RATE]\n"
	"       mcp-load idle|listen PORT PATH STREAMS\n"
	"       mcp-load stdio SECONDS COMMAND [ARGUMENT ...]\n"
	"\n"
	"Calls the tool echo of an MCP server at 127.0.0.1, or of a child process. legacy: a session for each\n"
	"client; session: one for each call, which is made and ended; modern: none (2026-07-28). At RATE calls\n"
	"per second in sum a call's time counts from when it was due.\n"
	"Prints: calls, calls/s, p50 and p99 in us, failed.\n"
	"idle: sessions with a stream of events each; listen: subscriptions (2026-07-28). Prints \"ready\" and\n"
	"the seconds that it took, and at the end of its input the bytes that came on the streams.\n";

_Noreturn void load_die(const char *what)
{
	fprintf(stderr, "mcp-load: %s%s%s\n", what, errno != 0 ? ": " : "",
		errno != 0 ? strerror(errno) : "");
	exit(1);
}

void load_print(const struct load *load, double seconds)
{
	printf("%llu %.1f %.1f %.1f %llu\n", (unsigned long long)load->calls,
	       (double)load->calls / seconds, (double)hist_at(&load->latency, .5) / 1e3,
	       (double)hist_at(&load->latency, .99) / 1e3, (unsigned long long)load->failed);
}

/* ---- the loop */

static void poll_for(struct load *load, uint64_t ns)
{
	struct epoll_event events[256];
	const struct timespec wait = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	const int count = epoll_pwait2(load->epoll, events, 256, &wait, NULL);

	for (int i = 0; i < count; i++)
		if (events[i].data.ptr != NULL)
			load_client_read(events[i].data.ptr);
}

static void busy_run(struct load *load, uint64_t end_ns)
{
	for (uint64_t now_ns = clock_now(); now_ns < end_ns; now_ns = clock_now())
		poll_for(load, end_ns - now_ns);
}

/* Whatever is due, in turn of the clients; the time of the next one. */
static uint64_t due_all(struct load *load, uint64_t began_ns, uint64_t *number)
{
	const double step_ns = 1e9 / load->rate;
	uint64_t due_ns = began_ns + (uint64_t)(step_ns * (double)*number);

	for (; due_ns <= clock_now(); due_ns = began_ns + (uint64_t)(step_ns * (double)*number)) {
		struct load_client *client = &load->clients[(*number)++ % load->count];

		if (!client->due)
			client->due_ns = due_ns;
		load_client_due(client);
	}
	return due_ns;
}

static void paced_run(struct load *load, uint64_t end_ns)
{
	const uint64_t began_ns = clock_now();
	uint64_t number = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	while (clock_now() < end_ns) {
		const uint64_t due_ns = due_all(load, began_ns, &number), now_ns = clock_now();

		poll_for(load, due_ns > now_ns ? due_ns - now_ns : 0);
	}
}

static bool all_rest(const struct load *load)
{
	for (uint32_t i = 0; i < load->count; i++)
		if (load->clients[i].busy)
			return false;
	return true;
}

/* Half a request would be the server's error. */
static void rest(struct load *load)
{
	for (int i = 0; i < 50 && !all_rest(load); i++)
		poll_for(load, 100000000);
}

/* Sessions are made before anything counts, and ended behind it. */
static void calls_run(struct load *load)
{
	const double rate = load->rate;
	uint64_t began_ns;

	load->rate = 1; /* nothing is due: clients rest when their session is there */
	for (uint32_t i = 0; i < load->count; i++)
		load_client_begin(&load->clients[i]);
	while (!all_rest(load))
		poll_for(load, 100000000);
	load->rate = rate;
	began_ns = clock_now();
	for (uint32_t i = 0; rate == 0 && i < load->count; i++)
		load_client_due(&load->clients[i]);
	if (rate > 0)
		paced_run(load, began_ns + (uint64_t)(load->seconds * 1e9));
	else
		busy_run(load, began_ns + (uint64_t)(load->seconds * 1e9));
	load_print(load, (double)(clock_now() - began_ns) / 1e9);
	load->over = true;
	rest(load);
	for (uint32_t i = 0; load->kind == LOAD_LEGACY && i < load->count; i++)
		load_client_end(&load->clients[i]);
	rest(load);
}

/* ---- streams that stay */

enum { AT_ONCE = 64 };

static void idle_run(struct load *load)
{
	struct epoll_event event = { .events = EPOLLIN };
	const uint64_t began_ns = clock_now();
	uint32_t begun = 0;
	char byte;

	while (load->streams < load->count) {
		while (begun < load->count && begun < load->streams + AT_ONCE)
			load_client_begin(&load->clients[begun++]);
		poll_for(load, 100000000);
	}
	printf("ready %.1f\n", (double)(clock_now() - began_ns) / 1e9);
	fflush(stdout);
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
		load_die("standard input");
	for (;;) {
		struct epoll_event events[256];
		const int count = epoll_wait(load->epoll, events, 256, -1);

		for (int i = 0; i < count; i++)
			if (events[i].data.ptr != NULL)
				load_client_read(events[i].data.ptr);
			else if (read(STDIN_FILENO, &byte, 1) <= 0) {
				printf("%llu\n", (unsigned long long)load->stream_bytes);
				return;
			}
	}
}

/* ---- arguments */

static void arguments_read(struct load *load, int argc, char **argv)
{
	static const char *const kinds[] = { "legacy", "modern", "session", "idle", "listen" };
	const int wanted[] = { 6, 6, 6, 5, 5 };

	for (int i = 0; i < 5 && argc > 1; i++)
		if (strcmp(argv[1], kinds[i]) == 0 && (argc == wanted[i] || (i < 3 && argc == 7))) {
			load->kind = (enum load_kind)i;
			load->port = (uint16_t)atoi(argv[2]);
			load->path = argv[3];
			load->count = (uint32_t)atoi(argv[4]);
			load->seconds = argc > 5 ? atof(argv[5]) : 1;
			load->rate = argc > 6 ? atof(argv[6]) : 0;
		}
	if (load->port != 0 && load->count > 0 && load->seconds > 0 && load->rate >= 0)
		return;
	fputs(usage, stderr);
	exit(2);
}

static void clients_make(struct load *load)
{
	const struct rlimit files = { load->count + 64, load->count + 64 };
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < files.rlim_cur)
		(void)setrlimit(RLIMIT_NOFILE, &files);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->clients = calloc(load->count, sizeof *load->clients);
	if (load->epoll < 0 || load->clients == NULL)
		load_die("no clients");
	for (uint32_t i = 0; i < load->count; i++)
		load->clients[i].load = load;
}

int main(int argc, char **argv)
{
	static struct load load;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	if (argc > 3 && strcmp(argv[1], "stdio") == 0 && atof(argv[2]) > 0)
		return load_stdio(atof(argv[2]), argv + 3);
	arguments_read(&load, argc, argv);
	clients_make(&load);
	if (load.kind >= LOAD_IDLE)
		idle_run(&load);
	else
		calls_run(&load);
	return 0;
}
