/* SPDX-License-Identifier: Apache-2.0 */
/*
 * say.c - standard error while the gateway serves.
 *
 * Its file description may be shared with other processes, so it is not made non-blocking. A pipe
 * that poll calls writable has room for PIPE_BUF bytes; the lock keeps other threads from taking
 * that room in between, and is never held while something waits.
 */
#include "tools/gateway/say.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

ssize_t gw_say_bytes(const char *bytes, size_t size)
{
	struct pollfd polled = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t written = -1;

	pthread_mutex_lock(&lock);
	if (poll(&polled, 1, 0) > 0)
		written = write(STDERR_FILENO, bytes, size < PIPE_BUF ? size : PIPE_BUF);
	else
		errno = EAGAIN;
	pthread_mutex_unlock(&lock);
	return written;
}

void gw_say(const char *format, ...)
{
	char text[PIPE_BUF] = "kolk-gateway: ";
	size_t size = strlen(text);
	va_list arguments;
	int more;

	va_start(arguments, format);
	more = vsnprintf(text + size, sizeof text - size, format, arguments);
	va_end(arguments);
	size += more > 0 ? (size_t)more : 0;
	size = size < sizeof text - 1 ? size : sizeof text - 1; /* the end of a long one is cut */
	text[size] = '\n';
	(void)!gw_say_bytes(text, size + 1);
}

void gw_say_lines(const char *before, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL)
		gw_say("%s%s", before, line);
}
