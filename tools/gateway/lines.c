/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - lines of a standard input, and text to a standard output: a thread for each. */
#define _GNU_SOURCE /* sem_clockwait */
#include "tools/gateway/lines.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A pipe that poll calls writable takes so many bytes without waiting (pipe(7), PIPE_BUF). */
enum { READ_SIZE = 65536, WRITE_SIZE = 4096 };

struct gw_lines {
	struct gw_lines_options options;
	pthread_t reader, writer;
	bool reads, writes;          /* there is such a thread */
	int wake;                    /* readable: both end */

	sem_t wanted;                /* a line */
	sem_t written;               /* the writer has ended */
	struct gw_pipe text;         /* the reader's: what follows the line that is shown */
	size_t shown;                /* bytes of it that were that line */
	struct gw_line line;
	struct kolk_call line_call;

	pthread_mutex_t lock;
	pthread_cond_t filled;
	/* Under it. */
	struct gw_pipe queue;
	bool closing, broken, posted;
	struct kolk_call written_call;
};

/* Wait until it can be read, or written. False = both threads are to end. */
static bool wait_for(const struct gw_lines *lines, int fd, short events)
{
	struct pollfd look[2] = { { .fd = fd, .events = events },
				  { .fd = lines->wake, .events = POLLIN } };

	while (poll(look, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return look[1].revents == 0;
}

static bool is_passing(int error)
{
	return error == EINTR || error == EAGAIN;
}

/* ---- the input */

/* False = it has ended. */
static bool read_more(struct gw_lines *lines)
{
	char *to = gw_pipe_reserve(&lines->text, READ_SIZE);
	ssize_t size = -1;

	if (to == NULL)
		return false;
	do {
		if (!wait_for(lines, lines->options.in, POLLIN))
			return false;
		size = read(lines->options.in, to, READ_SIZE);
	} while (size < 0 && is_passing(errno));
	if (size > 0)
		gw_pipe_commit(&lines->text, (size_t)size);
	return size > 0;
}

static void read_line(struct gw_lines *lines)
{
	struct gw_line *line = &lines->line;
	struct gw_pipe *text = &lines->text;
	const char *end = NULL;
	size_t looked = 0;

	memset(line, 0, sizeof *line);
	gw_pipe_drop(text, lines->shown);
	while (end == NULL && !line->last) {
		if (text->size > looked)
			end = memchr(text->data + text->begin + looked, '\n', text->size - looked);
		looked = end != NULL ? (size_t)(end - text->data) - text->begin : text->size;
		if (looked > lines->options.size_max) {
			line->too_long = true;
			gw_pipe_drop(text, looked);
			looked = 0;
		}
		if (end == NULL)
			line->last = !read_more(lines);
	}
	line->data = text->data + text->begin;
	line->size = looked;
	lines->shown = looked + (end != NULL);
}

static void on_line(struct kolk_call *call, void *user)
{
	struct gw_lines *lines = user;

	(void)call;
	lines->options.on_line(lines->options.user, &lines->line);
}

static bool is_closing(struct gw_lines *lines)
{
	bool closing;

	pthread_mutex_lock(&lines->lock);
	closing = lines->closing;
	pthread_mutex_unlock(&lines->lock);
	return closing;
}

static void *run_reader(void *user)
{
	struct gw_lines *lines = user;

	do {
		while (sem_wait(&lines->wanted) != 0)
			; /* a signal */
		if (is_closing(lines))
			break;
		read_line(lines);
	} while (!is_closing(lines) &&
		 kolk_loop_call(lines->options.loop, &lines->line_call, on_line, lines) == KOLK_OK &&
		 !lines->line.last);
	return NULL;
}

void gw_lines_next(struct gw_lines *lines)
{
	sem_post(&lines->wanted);
}

/* ---- the output */

static bool write_all(const struct gw_lines *lines, struct gw_pipe *text)
{
	while (text->size > 0) {
		ssize_t size;

		if (!wait_for(lines, lines->options.out, POLLOUT))
			return false;
		size = write(lines->options.out, text->data + text->begin,
			     text->size < WRITE_SIZE ? text->size : WRITE_SIZE);
		if (size < 0 && !is_passing(errno))
			return false;
		gw_pipe_drop(text, size > 0 ? (size_t)size : 0);
	}
	return true;
}

static void on_written(struct kolk_call *call, void *user)
{
	struct gw_lines *lines = user;

	(void)call;
	pthread_mutex_lock(&lines->lock);
	lines->posted = false;
	pthread_mutex_unlock(&lines->lock);
	lines->options.on_written(lines->options.user);
}

/* Under the lock, which is not held meanwhile. */
static void write_queue(struct gw_lines *lines, struct gw_pipe *text)
{
	struct gw_pipe empty = *text;
	bool ok;

	*text = lines->queue;
	lines->queue = empty;
	pthread_mutex_unlock(&lines->lock);
	ok = write_all(lines, text);
	gw_pipe_reset(text);
	pthread_mutex_lock(&lines->lock);
	lines->broken |= !ok;
	if (!lines->posted)
		lines->posted = kolk_loop_call(lines->options.loop, &lines->written_call, on_written,
					       lines) == KOLK_OK;
}

static void *run_writer(void *user)
{
	struct gw_lines *lines = user;
	struct gw_pipe text = { .data = NULL };

	pthread_mutex_lock(&lines->lock);
	while (!lines->broken) {
		if (lines->queue.size > 0)
			write_queue(lines, &text);
		else if (lines->closing)
			break;
		else
			pthread_cond_wait(&lines->filled, &lines->lock);
	}
	pthread_mutex_unlock(&lines->lock);
	gw_pipe_free(&text);
	sem_post(&lines->written);
	return NULL;
}

bool gw_lines_put(struct gw_lines *lines, const void *text, size_t size)
{
	bool put;

	pthread_mutex_lock(&lines->lock);
	put = lines->broken ||
	      (lines->queue.size < GW_PIPE_HIGH && gw_pipe_push(&lines->queue, text, size));
	pthread_cond_signal(&lines->filled);
	pthread_mutex_unlock(&lines->lock);
	return put;
}

bool gw_lines_has_room(struct gw_lines *lines)
{
	bool room;

	pthread_mutex_lock(&lines->lock);
	room = lines->queue.size < GW_PIPE_HIGH;
	pthread_mutex_unlock(&lines->lock);
	return room;
}

bool gw_lines_is_broken(struct gw_lines *lines)
{
	bool broken;

	pthread_mutex_lock(&lines->lock);
	broken = lines->broken;
	pthread_mutex_unlock(&lines->lock);
	return broken;
}

/* ---- life */

struct gw_lines *gw_lines_open(const struct gw_lines_options *options)
{
	struct gw_lines *lines = calloc(1, sizeof *lines);

	if (lines == NULL)
		return NULL;
	lines->options = *options;
	pthread_mutex_init(&lines->lock, NULL);
	pthread_cond_init(&lines->filled, NULL);
	sem_init(&lines->wanted, 0, 0);
	sem_init(&lines->written, 0, 0);
	lines->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lines->wake >= 0) {
		lines->reads = pthread_create(&lines->reader, NULL, run_reader, lines) == 0;
		lines->writes = pthread_create(&lines->writer, NULL, run_writer, lines) == 0;
	}
	if (lines->reads && lines->writes)
		return lines;
	gw_lines_close(lines, 0);
	gw_lines_free(lines);
	return NULL;
}

void gw_lines_close(struct gw_lines *lines, uint64_t deadline_ns)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / KOLK_S_NS),
				  .tv_nsec = (long)(deadline_ns % KOLK_S_NS) };

	pthread_mutex_lock(&lines->lock);
	lines->closing = true;
	pthread_cond_signal(&lines->filled);
	pthread_mutex_unlock(&lines->lock);
	while (lines->writes && sem_clockwait(&lines->written, CLOCK_MONOTONIC, &until) != 0 &&
	       errno == EINTR)
		;
	(void)!eventfd_write(lines->wake, 1);
	sem_post(&lines->wanted);
	if (lines->writes)
		pthread_join(lines->writer, NULL);
	if (lines->reads)
		pthread_join(lines->reader, NULL);
	lines->reads = lines->writes = false;
	close(lines->options.in);
	close(lines->options.out);
}

void gw_lines_free(struct gw_lines *lines)
{
	if (lines->wake >= 0)
		close(lines->wake);
	gw_pipe_free(&lines->text);
	gw_pipe_free(&lines->queue);
	sem_destroy(&lines->wanted);
	sem_destroy(&lines->written);
	pthread_cond_destroy(&lines->filled);
	pthread_mutex_destroy(&lines->lock);
	free(lines);
}
