/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_stderr.c - what a child writes to stderr. It is read so that the child does not block on
 * it for long, and logged line by line up to a limit. The last line is kept for the exit message.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/atomic.h"
#include "transport/child.h"
#include "transport/upstream.h"

/* At most so much is read at once, and after that nothing for so long: a child that writes
 * without end has its share of this loop's time, not all of it. */
enum { BURST_BYTES = 64 * 1024 };
#define PAUSE_NS (10 * KOLK_MS_NS)

static const char *name_of(const struct kolk__child *child)
{
	const char *path = child->link->upstream->child->spec.command[0];
	const char *slash = strrchr(path, '/');

	return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

void kolk__child_log(struct kolk__child *child, enum kolk_log_level level, const char *format, ...)
{
	struct kolk__link_callbacks *callbacks = &child->link->loop->transport->callbacks;
	char text[256];
	va_list args;
	int size = snprintf(text, sizeof text, "%.32s[%d] ", name_of(child), child->process.pid);

	va_start(args, format);
	vsnprintf(text + size, sizeof text - (size_t)size, format, args);
	va_end(args);
	callbacks->log(callbacks->log_user, level, "child", text);
}

/* ---- lines */

static bool may_log(struct kolk__child *child)
{
	struct kolk__child_stderr *stderr_log = &child->stderr_log;
	uint64_t now_ns = kolk__link_now(child->link->loop->transport);

	if (now_ns - stderr_log->second_ns >= KOLK_S_NS) {
		if (stderr_log->suppressed > 0 &&
		    kolk__load_relaxed(&child->link->upstream->child->lines_max) > 0)
			kolk__child_log(child, KOLK_LOG_DEBUG, "(%u lines more)",
					stderr_log->suppressed);
		stderr_log->second_ns = now_ns;
		stderr_log->lines = stderr_log->suppressed = 0;
	}
	if (stderr_log->lines >= kolk__load_relaxed(&child->link->upstream->child->lines_max)) {
		stderr_log->suppressed++;
		return false;
	}
	stderr_log->lines++;
	return true;
}

static void line_end(struct kolk__child *child)
{
	struct kolk__child_stderr *stderr_log = &child->stderr_log;

	if (stderr_log->size == 0)
		return;
	stderr_log->line[stderr_log->size] = 0;
	memcpy(stderr_log->last, stderr_log->line, stderr_log->size + 1);
	stderr_log->size = 0;
	if (may_log(child))
		kolk__child_log(child, KOLK_LOG_DEBUG, "%s", stderr_log->line);
}

static void split_lines(struct kolk__child *child, const char *bytes, size_t size)
{
	struct kolk__child_stderr *stderr_log = &child->stderr_log;

	for (size_t i = 0; i < size; i++) {
		char byte = bytes[i];

		if (byte == '\n') {
			line_end(child);
			continue;
		}
		if (byte == '\r')
			continue;
		stderr_log->line[stderr_log->size++] = byte >= ' ' && byte <= '~' ? byte : '?';
		if (stderr_log->size == KOLK__STDERR_LINE_MAX)
			line_end(child);
	}
}

/* ---- reading: > 0 = there is more, 0 = its end, -EAGAIN = not now */

static int64_t read_burst(struct kolk__child *child)
{
	const struct kolk_sys *sys = child->link->loop->transport->sys;
	char bytes[4096];
	size_t all = 0;
	int64_t got;

	do {
		got = sys->child_read(sys->context, &child->process, bytes, sizeof bytes);
		if (got > 0) {
			split_lines(child, bytes, (size_t)got);
			all += (size_t)got;
		}
	} while (got == -EINTR || (got > 0 && all < BURST_BYTES));
	return got;
}

static void readable(struct kolk_op *op);

static void poll_stderr(struct kolk__child *child)
{
	kolk__op_fd(&child->stderr_log.op, KOLK_OP_POLL, child->process.error_fd);
	kolk__submit(child->link->loop, &child->stderr_log.op, readable, child);
}

static void resume_reading(struct kolk__timeout *timeout)
{
	size_t offset = offsetof(struct kolk__child, stderr_log) +
			offsetof(struct kolk__child_stderr, pause);

	poll_stderr((struct kolk__child *)(void *)((char *)timeout - offset));
}

static void readable(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	struct kolk__io_loop *loop = child->link->loop;
	int64_t left;

	if (child->stage == KOLK__CHILD_ENDED) {
		kolk__child_check_done(child->link);
		return;
	}
	left = op->result >= 0 ? read_burst(child) : op->result;
	if (left > 0)
		kolk__timeout_start(loop, &child->stderr_log.pause,
				    kolk__link_now(loop->transport) + PAUSE_NS);
	else if (left == -EAGAIN)
		poll_stderr(child);
	else
		line_end(child);
}

void kolk__child_stderr_begin(struct kolk__child *child)
{
	child->stderr_log.pause.fire = resume_reading;
	child->stderr_log.second_ns = kolk__link_now(child->link->loop->transport);
	poll_stderr(child);
}

void kolk__child_stderr_end(struct kolk__child *child)
{
	kolk__timeout_stop(child->link->loop, &child->stderr_log.pause);
	(void)read_burst(child);
	line_end(child);
	kolk__cancel(child->link->loop, &child->stderr_log.op);
}
