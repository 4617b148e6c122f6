/* SPDX-License-Identifier: Apache-2.0 */
/* stdio.c - a client at standard input and output: its lines become calls, what comes of these
 * lines. */
#define _GNU_SOURCE /* sem_clockwait, strerrordesc_np */
#include "tools/gateway/mcp/modern.h"
#include "tools/gateway/mcp/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/rate.h"
#include "tools/gateway/say.h"

/* ---- calls */

static void post_turn(struct gw_stdio *stdio);

struct gw_mcp_call *gw_stdio_open(struct gw_stdio *stdio)
{
	struct gw_mcp_line *line = calloc(1, sizeof *line), **at = &stdio->first;
	struct gw_mcp_call *call =
		line != NULL ? gw_mcp_call_open(stdio->loop, stdio->target, "", true) : NULL;

	if (call == NULL) {
		free(line);
		return NULL;
	}
	line->stdio = stdio;
	line->call = call;
	call->line = line;
	while (*at != NULL)
		at = &(*at)->next;
	*at = line;
	stdio->count++;
	return call;
}

void gw_stdio_drop(struct gw_mcp_call *call)
{
	call->done = true;
	post_turn(call->line->stdio);
}

void gw_stdio_refuse(struct gw_mcp_call *call, int code, const char *text)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	char error[256];

	result.error = error;
	result.error_size = (size_t)snprintf(error, sizeof error,
					     "{\"code\":%d,\"message\":\"%s\"}", code, text);
	(void)!gw_mcp_write_error(call, &result);
	gw_stdio_drop(call);
}

/* ---- stateless requests */

static bool is_same(struct kolk_mcp_part one, struct kolk_mcp_part other)
{
	return one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
}

/* True: it was one of these. Those of a session are its home's to find. */
static bool cancel_modern(struct gw_mcp_call *call)
{
	const struct kolk_mcp_envelope *message = call->message;
	struct gw_mcp_line *line = call->line->stdio->first;

	if (strcmp(message->method, "notifications/cancelled") != 0 || message->request_id.size == 0)
		return false;
	while (line != NULL && !(line->call->modern &&
				 (line->call->back != NULL || line->call->fanout != NULL) &&
				 is_same(line->call->message->id, message->request_id)))
		line = line->next;
	if (line != NULL)
		gw_mcp_call_cancel(line->call);
	return line != NULL;
}

static void take_modern(struct gw_mcp_call *call)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	char text[256];

	call->modern = true;
	if (call->kind == GW_MCP_NOTIFICATION) { /* it has no other than that which cancels */
		gw_stdio_drop(call);
		return;
	}
	result.error = gw_mcp_modern_flaw(NULL, call->message, text);
	if (result.error != NULL) {
		result.error_size = strlen(result.error);
		(void)!gw_mcp_write_error(call, &result);
		gw_stdio_drop(call);
	} else if (gw_mcp_is_removed(call->message->method)) {
		gw_stdio_refuse(call, -32601, "Method not found");
	} else {
		gw_mcp_dialog_route(call);
		gw_mcp_call_give(call);
	}
}

/* ---- a line */

bool gw_stdio_read(struct gw_mcp_call *call)
{
	enum kolk_err err = kolk_mcp_read(call->body.data + call->body.begin, call->body.size,
					  call->message);

	if (err == KOLK_OK) {
		call->kind = gw_mcp_kind_of(call->message);
		call->line->quiet = call->kind == GW_MCP_NOTIFICATION || call->kind == GW_MCP_REPLY;
		return true;
	}
	if (err == KOLK_E_PROTOCOL)
		gw_stdio_refuse(call, call->message->fault_code, call->message->fault);
	else
		gw_stdio_refuse(call, -32600, "arrays of messages are not taken here");
	return false;
}

static void take(struct gw_mcp_call *call)
{
	struct gw_stdio *stdio = call->line->stdio;
	bool asks = call->kind == GW_MCP_INITIALIZE || call->kind == GW_MCP_REQUEST;

	if (asks && stdio->count > GW_STDIO_CALLS_MAX)
		gw_stdio_refuse(call, -32603, "too many requests at a time");
	else if (asks && gw_rate_take(stdio->loop->gateway->rates, stdio->target->route, call->tenant,
				      kolk_loop_now(stdio->loop->loop)) != 0)
		gw_stdio_refuse(call, -32603, "more requests than the route takes");
	else if (cancel_modern(call))
		gw_stdio_drop(call);
	else if (gw_mcp_is_modern(NULL, call->message))
		take_modern(call);
	else if (call->kind == GW_MCP_INITIALIZE)
		gw_stdio_initialize(call);
	else
		gw_stdio_in_session(call);
}

static bool is_blank(const struct gw_line *line)
{
	for (size_t i = 0; i < line->size; i++)
		if (line->data[i] != ' ' && line->data[i] != '\t' && line->data[i] != '\r')
			return false;
	return !line->too_long;
}

static void end_program(struct gw_stdio *stdio)
{
	if (!stdio->ending)
		kill(getpid(), SIGTERM); /* main() waits for it */
	stdio->ending = true;
}

static void on_line(void *user, const struct gw_line *line)
{
	struct gw_stdio *stdio = user;
	struct gw_mcp_call *call = is_blank(line) || stdio->over ? NULL : gw_stdio_open(stdio);

	stdio->wants = false;
	if (line->last)
		end_program(stdio);
	if (call != NULL && line->too_long)
		gw_stdio_refuse(call, -32600, "the message is larger than the route takes");
	else if (call != NULL && !gw_pipe_push(&call->body, line->data, line->size))
		gw_stdio_refuse(call, -32603, kolk_err_text(KOLK_E_MEMORY));
	else if (call != NULL && gw_stdio_read(call))
		take(call);
	post_turn(stdio);
}

/* ---- a session that was lost */

/* Its server did not know the session, or it was not sent at all: a session was used before, by
 * initialize at least. */
bool gw_stdio_repeats(const struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct gw_mcp_line *line = call->line;

	if (line == NULL || line->repeated || call->kind != GW_MCP_REQUEST || result->lost == 0 ||
	    line->stdio->ending)
		return false;
	line->lost = result->status >= 400 || result->reused == 0 ||
		     gw_mcp_is_replayable(call->message->method);
	return line->lost;
}

static void repeat(struct gw_stdio *stdio, struct gw_mcp_call *lost)
{
	struct gw_mcp_call *call = gw_stdio_open(stdio);
	struct gw_pipe kept; /* of an earlier call */

	if (call == NULL)
		return;
	kept = call->body;
	call->body = lost->body;
	lost->body = kept;
	call->line->repeated = true;
	if (gw_stdio_read(call))
		gw_stdio_in_session(call);
}

/* ---- what comes of calls */

/* True: it is over, and all was taken. */
static bool pass(struct gw_stdio *stdio, struct gw_mcp_line *line)
{
	struct gw_mcp_call *call = line->call;
	struct gw_pipe *out = &call->out;
	bool done, wake;

	pthread_mutex_lock(&call->lock);
	if (out->size > 0 && (line->quiet || line->lost ||
			      gw_lines_put(stdio->lines, out->data + out->begin, out->size)))
		gw_pipe_reset(out);
	done = call->done && out->size == 0;
	wake = call->paused && out->size <= GW_PIPE_LOW;
	pthread_mutex_unlock(&call->lock);
	if (wake)
		gw_mcp_call_wake(call);
	return done;
}

static void retire(struct gw_stdio *stdio, struct gw_mcp_line *line)
{
	struct gw_mcp_call *call = line->call;

	if (line->lost)
		repeat(stdio, call);
	gw_stdio_ended(stdio, call);
	call->line = NULL;
	gw_mcp_call_unref(call);
	free(line);
}

static void want_line(struct gw_stdio *stdio)
{
	if (stdio->wants || stdio->ending || stdio->making != NULL ||
	    !gw_lines_has_room(stdio->lines))
		return;
	stdio->wants = true;
	gw_lines_next(stdio->lines);
}

static void on_turn(struct kolk_call *posted, void *user)
{
	struct gw_stdio *stdio = user;
	struct gw_mcp_line **at = &stdio->first, *line;

	(void)posted;
	stdio->posted = false;
	while ((line = *at) != NULL) {
		if (!pass(stdio, line)) {
			at = &line->next;
			continue;
		}
		*at = line->next;
		stdio->count--;
		retire(stdio, line);
	}
	want_line(stdio);
	if (stdio->ending && stdio->first == NULL && !stdio->over) {
		stdio->over = true;
		sem_post(&stdio->is_over);
	}
}

/* Not when it is over: it is freed when what was posted before has run. */
static void post_turn(struct gw_stdio *stdio)
{
	if (!stdio->posted && !stdio->over)
		stdio->posted = kolk_loop_call(stdio->loop->loop, &stdio->turn, on_turn, stdio) ==
				KOLK_OK;
}

void gw_stdio_turn(struct gw_mcp_line *line)
{
	post_turn(line->stdio);
}

static void on_written(void *user)
{
	struct gw_stdio *stdio = user;

	if (gw_lines_is_broken(stdio->lines))
		end_program(stdio);
	post_turn(stdio);
}

/* ---- begin */

bool gw_stdio_take(int fds[2])
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool ok = null >= 0;

	fds[0] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fds[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	ok = ok && fds[0] >= 0 && fds[1] >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	     dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
	if (!ok)
		gw_say("standard input and output: %s", strerrordesc_np(errno));
	if (null >= 0)
		close(null);
	return ok;
}

static const char *path_of(const struct gw_route *route)
{
	return route->path != NULL ? route->path : "/";
}

static bool is_path(const char *path, const struct gw_route *route)
{
	return strcmp(path_of(route), path) == 0;
}

static bool is_mcp(const struct gw_config *config, const struct gw_route *route)
{
	const struct kolk_pool_options *one;
	const char *pool = route->pool;

	if (route->action == GW_ACTION_TOOLS || route->federation.count > 0)
		return true;
	for (uint32_t i = 0; pool != NULL && (one = kolk_config_pool(config->pools, i)) != NULL; i++)
		if (strcmp(one->name, pool) == 0)
			return kolk_config_mcp(config->pools, i) != NULL;
	return false;
}

bool gw_stdio_check(const struct gw_config *config, const char *path)
{
	uint32_t others = 0;

	for (uint32_t i = 0; i < config->route_count; i++)
		if (is_path(path, &config->routes[i]) && is_mcp(config, &config->routes[i]))
			return true;
	fprintf(stderr, "kolk-gateway: no route to an MCP server has the path %s", path);
	for (uint32_t i = 0; i < config->route_count; i++)
		if (is_mcp(config, &config->routes[i]))
			fprintf(stderr, "%s %s", others++ == 0 ? ": there are" : ",",
				path_of(&config->routes[i]));
	fputs(others == 0 ? ": there is none at all\n" : "\n", stderr);
	return false;
}

static const struct gw_target *find_target(const struct gw_view *view, const char *path)
{
	for (uint32_t i = 0; i < view->config->route_count; i++)
		if (view->targets[i].mcp != NULL && is_path(path, view->targets[i].route))
			return &view->targets[i];
	return NULL;
}

static void begin(struct gw_loop *loop, void *user)
{
	struct gw_stdio *stdio = user;

	if (stdio->loop == loop)
		post_turn(stdio);
}

struct gw_stdio *gw_stdio_begin(struct gateway *gateway, const char *path, const int fds[2])
{
	struct gw_lines_options options = { .in = fds[0], .out = fds[1], .on_line = on_line,
					    .on_written = on_written };
	struct gw_stdio *stdio = calloc(1, sizeof *stdio);

	if (stdio == NULL)
		return NULL;
	sem_init(&stdio->is_over, 0, 0);
	stdio->loop = &gateway->loops[0];
	stdio->target = find_target(gateway->view, path);
	options.loop = stdio->loop->loop;
	options.size_max = stdio->target != NULL ? stdio->target->route->body_bytes_max : 0;
	if (options.size_max == 0)
		options.size_max = GW_STDIO_LINE_MAX;
	options.user = stdio;
	if (stdio->target != NULL)
		stdio->lines = gw_lines_open(&options);
	if (stdio->lines == NULL) {
		free(stdio);
		return NULL;
	}
	gw_each_loop(gateway, begin, stdio);
	return stdio;
}

/* ---- the end */

/* Its client answers nothing any more. */
static void finish(struct gw_loop *loop, void *user)
{
	struct gw_stdio *stdio = user;

	if (stdio->loop != loop)
		return;
	stdio->ending = true;
	kolk_timer_stop(&stdio->relisten);
	for (struct gw_mcp_line *line = stdio->first; line != NULL; line = line->next) {
		if (line->call->asks != NULL && line->call->back != NULL)
			gw_mcp_call_cancel(line->call);
		else
			gw_mcp_input_cancel(line->call);
	}
	post_turn(stdio);
}

/* What is left is ended with its session. */
static void abandon(struct gw_loop *loop, void *user)
{
	struct gw_stdio *stdio = user;
	struct gw_mcp_line *line = stdio->first;

	if (stdio->loop != loop)
		return;
	while ((line = stdio->first) != NULL) {
		struct gw_mcp_call *call = line->call;

		stdio->first = line->next;
		call->line = NULL;
		pthread_mutex_lock(&call->lock);
		call->gone = true;
		pthread_mutex_unlock(&call->lock);
		if (call->given)
			gw_mcp_call_wake(call);
		gw_mcp_call_unref(call);
		free(line);
	}
	stdio->making = stdio->listening = NULL;
	stdio->over = true;
}

static void wait_until(sem_t *semaphore, uint64_t deadline_ns)
{
	const struct timespec until = { .tv_sec = (time_t)(deadline_ns / KOLK_S_NS),
					.tv_nsec = (long)(deadline_ns % KOLK_S_NS) };

	while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR)
		;
}

static void pass_posted(struct gw_loop *loop, void *user)
{
	(void)loop;
	(void)user;
}

void gw_stdio_end(struct gateway *gateway, struct gw_stdio *stdio, uint64_t deadline_ns)
{
	if (stdio == NULL)
		return;
	gw_each_loop(gateway, finish, stdio);
	wait_until(&stdio->is_over, deadline_ns);
	gw_each_loop(gateway, abandon, stdio);
	gw_lines_close(stdio->lines, deadline_ns);
	gw_each_loop(gateway, pass_posted, NULL);
	gw_lines_free(stdio->lines);
	gw_pipe_free(&stdio->initialize);
	sem_destroy(&stdio->is_over);
	free(stdio);
}
