/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_file.c - the file of the access log, and the thread that writes buffers to it.
 *
 * Under lock: the queue of full buffers, the list of unused ones, and what the thread is told; held
 * for a few instructions. The file belongs to the thread. It may be a pipe whose reader has stopped:
 * the thread never waits in write, but in poll, where the event `wake` ends its wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tools/gateway/access_log.h"
#include "tools/gateway/say.h"

/* At most, of what is left of drain_timeout. */
static const uint64_t close_wait_ns = KOLK_S_NS;
/* Behind that: for a thread that is not in a write(2) which the disk does not finish. */
static const uint64_t join_wait_ns = 100 * KOLK_MS_NS;

struct gw_access_log {
	char *path;
	int fd;                             /* the thread's */
	int wake;                           /* eventfd(2): something below has changed */
	int ended;                          /* eventfd(2): the thread returns */
	pthread_t thread;
	pthread_mutex_t lock;
	struct gw_log_block *first, **last; /* to be written */
	struct gw_log_block *unused;
	uint64_t lost;                      /* lines that no buffer tells */
	uint64_t deadline_ns;               /* of the end; 0 = not yet */
	uint32_t blocks;                    /* that exist */
	bool reopen;
};

static void signal_to(int event)
{
	const uint64_t one = 1;

	(void)!write(event, &one, sizeof one);
}

/* ---- buffers */

struct gw_log_block *gw_log_block_get(struct gw_access_log *log)
{
	struct gw_log_block *block;

	pthread_mutex_lock(&log->lock);
	block = log->unused;
	if (block != NULL) {
		log->unused = block->next;
	} else if (log->blocks < GW_LOG_BUFFERS) {
		block = malloc(sizeof *block);
		log->blocks += block != NULL;
	}
	if (block != NULL) {
		block->size = 0;
		block->lost = log->lost;
		log->lost = 0;
	} else {
		log->lost++;
	}
	pthread_mutex_unlock(&log->lock);
	return block;
}

void gw_log_block_put(struct gw_access_log *log, struct gw_log_block *block)
{
	block->next = NULL;
	pthread_mutex_lock(&log->lock);
	*log->last = block;
	log->last = &block->next;
	pthread_mutex_unlock(&log->lock);
	signal_to(log->wake);
}

/* The lines that end behind `done` are not in the file. */
static void give_back(struct gw_access_log *log, struct gw_log_block *block, size_t done)
{
	uint64_t lost = memchr(block->text, '\n', done) == NULL ? block->lost : 0;

	for (size_t i = done; i < block->size; i++)
		lost += block->text[i] == '\n';
	pthread_mutex_lock(&log->lock);
	log->lost += done < block->size ? lost : 0;
	block->next = log->unused;
	log->unused = block;
	pthread_mutex_unlock(&log->lock);
}

/* ---- the file */

static int open_file(const char *path)
{
	if (strcmp(path, "-") == 0)
		return STDERR_FILENO;
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

static void close_file(int fd)
{
	if (fd >= 0 && fd != STDERR_FILENO)
		close(fd);
}

/* Open it again, if that was asked for: whether it was done. */
static bool reopen(struct gw_access_log *log)
{
	bool asked;
	int fd;

	pthread_mutex_lock(&log->lock);
	asked = log->reopen;
	log->reopen = false;
	pthread_mutex_unlock(&log->lock);
	if (!asked)
		return false;
	fd = open_file(log->path);
	if (fd < 0) {
		gw_say("access log %s: %s: what was opened before is written on", log->path,
		       strerror(errno));
		return false;
	}
	close_file(log->fd);
	log->fd = fd;
	return true;
}

/* ---- the thread */

/* How long it may wait, ms; -1 = as long as it likes. */
static int patience(struct gw_access_log *log)
{
	uint64_t deadline_ns, now_ns = kolk_in_ns(0);

	pthread_mutex_lock(&log->lock);
	deadline_ns = log->deadline_ns;
	pthread_mutex_unlock(&log->lock);
	if (deadline_ns == 0)
		return -1;
	return deadline_ns > now_ns ? (int)((deadline_ns - now_ns) / KOLK_MS_NS) + 1 : 0;
}

/* Until the file takes something (fd -1 = none is waited for), or there is news, or the time is over;
 * whether it takes something, or has an error to tell. */
static bool wait_for(struct gw_access_log *log, int fd, int ms)
{
	struct pollfd polled[2] = { { .fd = fd, .events = POLLOUT },
				    { .fd = log->wake, .events = POLLIN } };
	uint64_t count;

	(void)!poll(polled, 2, ms);
	if (polled[1].revents != 0)
		(void)!read(log->wake, &count, sizeof count);
	return polled[0].revents != 0;
}

/* Where the line begins that the byte `at` is in. */
static size_t line_at(const struct gw_log_block *block, size_t at)
{
	while (at > 0 && block->text[at - 1] != '\n')
		at--;
	return at;
}

static ssize_t write_some(const struct gw_access_log *log, const char *bytes, size_t size)
{
	return log->fd == STDERR_FILENO ? gw_say_bytes(bytes, size) : write(log->fd, bytes, size);
}

/* How much of it was written. */
static size_t write_block(struct gw_access_log *log, const struct gw_log_block *block)
{
	size_t done = 0;

	while (done < block->size) {
		int ms = patience(log);
		ssize_t size;

		if (reopen(log))
			done = line_at(block, done);
		if (!wait_for(log, log->fd, ms)) {
			if (ms == 0)
				break;
			continue;
		}
		size = write_some(log, block->text + done, block->size - done);
		if (size < 0 && errno != EINTR && errno != EAGAIN)
			break; /* a full disk, a pipe without a reader */
		done += size > 0 ? (size_t)size : 0;
	}
	return done;
}

/* NULL = the end. */
static struct gw_log_block *next_block(struct gw_access_log *log)
{
	struct gw_log_block *block;
	bool ends;

	for (;;) {
		(void)reopen(log);
		pthread_mutex_lock(&log->lock);
		block = log->first;
		ends = log->deadline_ns != 0;
		if (block != NULL && (log->first = block->next) == NULL)
			log->last = &log->first;
		pthread_mutex_unlock(&log->lock);
		if (block != NULL || ends)
			return block;
		(void)wait_for(log, -1, -1);
	}
}

static void *run(void *user)
{
	struct gw_access_log *log = user;
	struct gw_log_block *block;

	while ((block = next_block(log)) != NULL)
		give_back(log, block, write_block(log, block));
	signal_to(log->ended);
	return NULL;
}

/* ---- begin and end */

static void free_log(struct gw_access_log *log)
{
	struct gw_log_block *next;

	for (struct gw_log_block *block = log->unused; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	close_file(log->fd);
	if (log->wake >= 0)
		close(log->wake);
	if (log->ended >= 0)
		close(log->ended);
	pthread_mutex_destroy(&log->lock);
	free(log->path);
	free(log);
}

enum kolk_err gw_access_log_open(const char *path, struct gw_access_log **log)
{
	struct gw_access_log *made = calloc(1, sizeof *made);
	enum kolk_err err = KOLK_E_IO;
	int error;

	if (made == NULL)
		return KOLK_E_MEMORY;
	pthread_mutex_init(&made->lock, NULL);
	made->last = &made->first;
	made->path = strdup(path);
	made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	made->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	made->fd = made->wake >= 0 && made->ended >= 0 ? open_file(path) : -1;
	if (made->path == NULL)
		err = KOLK_E_MEMORY;
	else if (made->fd >= 0 &&
		 (errno = pthread_create(&made->thread, NULL, run, made)) == 0)
		err = KOLK_OK;
	error = errno;
	if (err == KOLK_OK)
		*log = made;
	else
		free_log(made);
	errno = error;
	return err;
}

void gw_access_log_reopen(struct gw_access_log *log)
{
	if (log == NULL)
		return;
	pthread_mutex_lock(&log->lock);
	log->reopen = true;
	pthread_mutex_unlock(&log->lock);
	signal_to(log->wake);
}

/* Whether the thread ends within ns. */
static bool join(const struct gw_access_log *log, uint64_t ns)
{
	struct pollfd polled = { .fd = log->ended, .events = POLLIN };

	return poll(&polled, 1, (int)(ns / KOLK_MS_NS) + 1) > 0 &&
	       pthread_join(log->thread, NULL) == 0;
}

void gw_access_log_close(struct gw_access_log *log, uint64_t deadline_ns)
{
	uint64_t now_ns = kolk_in_ns(0), wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	if (log == NULL)
		return;
	wait_ns = wait_ns < close_wait_ns ? wait_ns : close_wait_ns;
	pthread_mutex_lock(&log->lock);
	log->deadline_ns = now_ns + wait_ns;
	pthread_mutex_unlock(&log->lock);
	signal_to(log->wake);
	if (!join(log, wait_ns + join_wait_ns)) {
		gw_say("the access log was left while it was written");
		return; /* its memory is the thread's */
	}
	if (log->lost > 0)
		gw_say("%llu %s lost", (unsigned long long)log->lost,
		       log->lost == 1 ? "line of the access log was" :
					"lines of the access log were");
	free_log(log);
}
