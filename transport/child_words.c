/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_words.c - what a child writes to stderr: read so that it never blocks on it for long,
 * logged line by line as far as that is wanted, and the last of it kept for its end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/atomic.h"
#include "transport/child.h"

/* At most so much is read at once, and after that nothing for so long: a child that writes
 * without end has its share of this loop's time, not all of it. */
enum { TURN_BYTES = 64 * 1024 };
#define PAUSE_NS (10 * KOLK_MS_NS)

static const char *name_of(const struct kolk__child *child)
{
	const char *path = child->link->origin->child->spec.command[0];
	const char *slash = strrchr(path, '/');

	return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

void kolk__child_log(struct kolk__child *child, enum kolk_log_level level, const char *format, ...)
{
	struct kolk__link_host *host = &child->link->tloop->transport->host;
	char text[256];
	va_list args;
	int size = snprintf(text, sizeof text, "%.32s[%d] ", name_of(child), child->process.pid);

	va_start(args, format);
	vsnprintf(text + size, sizeof text - (size_t)size, format, args);
	va_end(args);
	host->log(host->log_user, level, "child", text);
}

/* ---- lines */

static bool may_log(struct kolk__child *child)
{
	struct kolk__words *words = &child->words;
	uint64_t now_ns = kolk__link_now(child->link->tloop->transport);

	if (now_ns - words->second_ns >= KOLK_S_NS) {
		if (words->lost > 0 && kolk__load_relaxed(&child->link->origin->child->lines_max) > 0)
			kolk__child_log(child, KOLK_LOG_DEBUG, "(%u lines more)", words->lost);
		words->second_ns = now_ns;
		words->lines = words->lost = 0;
	}
	if (words->lines >= kolk__load_relaxed(&child->link->origin->child->lines_max)) {
		words->lost++;
		return false;
	}
	words->lines++;
	return true;
}

static void line_end(struct kolk__child *child)
{
	struct kolk__words *words = &child->words;

	if (words->size == 0)
		return;
	words->line[words->size] = 0;
	memcpy(words->last, words->line, words->size + 1);
	words->size = 0;
	if (may_log(child))
		kolk__child_log(child, KOLK_LOG_DEBUG, "%s", words->line);
}

static void take(struct kolk__child *child, const char *bytes, size_t size)
{
	struct kolk__words *words = &child->words;

	for (size_t i = 0; i < size; i++) {
		char byte = bytes[i];

		if (byte == '\n') {
			line_end(child);
			continue;
		}
		if (byte == '\r')
			continue;
		words->line[words->size++] = byte >= ' ' && byte <= '~' ? byte : '?';
		if (words->size == KOLK__WORDS)
			line_end(child);
	}
}

/* ---- reading: > 0 = there is more, 0 = its end, -EAGAIN = not now */

static int64_t read_turn(struct kolk__child *child)
{
	const struct kolk_sys *sys = child->link->tloop->transport->sys;
	char bytes[4096];
	size_t all = 0;
	int64_t got;

	do {
		got = sys->child_read(sys->context, &child->process, bytes, sizeof bytes);
		if (got > 0) {
			take(child, bytes, (size_t)got);
			all += (size_t)got;
		}
	} while (got == -EINTR || (got > 0 && all < TURN_BYTES));
	return got;
}

static void readable(struct kolk_op *op);

static void await(struct kolk__child *child)
{
	kolk__submit(child->link->tloop, &child->words.op, KOLK_OP_POLL, child->process.error_fd,
		     NULL, 0, readable, child);
}

static void read_on(struct kolk__timeout *timeout)
{
	struct kolk__words *words = (struct kolk__words *)(void *)((char *)timeout -
								   offsetof(struct kolk__words,
									    pause));

	await((struct kolk__child *)(void *)((char *)words - offsetof(struct kolk__child, words)));
}

static void readable(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	struct kolk__tloop *tloop = child->link->tloop;
	int64_t left;

	if (child->stage == KOLK__CHILD_GONE) {
		kolk__child_settle(child->link);
		return;
	}
	left = op->result >= 0 ? read_turn(child) : op->result;
	if (left > 0)
		kolk__timeout_start(tloop, &child->words.pause,
				    kolk__link_now(tloop->transport) + PAUSE_NS);
	else if (left == -EAGAIN)
		await(child);
	else
		line_end(child);
}

void kolk__words_begin(struct kolk__child *child)
{
	child->words.pause.fire = read_on;
	child->words.second_ns = kolk__link_now(child->link->tloop->transport);
	await(child);
}

void kolk__words_end(struct kolk__child *child)
{
	kolk__timeout_stop(child->link->tloop, &child->words.pause);
	(void)read_turn(child);
	line_end(child);
	kolk__cancel(child->link->tloop, &child->words.op);
}
