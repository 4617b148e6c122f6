/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - a pooled tool that is a program: each word is an argument of its own, and no shell
 * reads any. A value that a program could take for an option is refused, unless "--" stands before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/tool/call.h"
#include "tools/gateway/tool/process.h"

enum { VARIABLES_MAX = 128 };

struct child {
	struct gw_process process;
	struct gw_tool_call *call;
	struct kolk_timer timer;
	struct gw_tool_words words;
	const char *environment[VARIABLES_MAX + 1];
	struct gw_text variables;    /* of `inherit`: NAME=value, each with a zero */
};

/* ---- the end */

static void put_data(struct gw_tool_call *call, const struct gw_process *process)
{
	const char *out = gw_text_data(&process->out);
	size_t size = gw_text_size(&process->out);

	gw_text_say(&call->data, "{\"exit_status\":");
	if (process->status >= 0)
		gw_text_number(&call->data, process->status);
	else
		gw_text_say(&call->data, "null");
	gw_text_say(&call->data, ",\"output\":");
	if (gw_is_json(out, size, true))
		gw_text_put(&call->data, out, size);
	else
		gw_text_string(&call->data, out, size);
	if (process->status != 0) {
		gw_text_say(&call->data, ",\"error_output\":");
		gw_text_string(&call->data, gw_text_data(&process->errors),
			       gw_text_size(&process->errors));
	}
	gw_text_say(&call->data, "}");
}

static void child_free(struct child *child)
{
	kolk_timer_stop(&child->timer);
	gw_text_free(&child->variables);
	gw_text_free(&child->process.out);
	gw_text_free(&child->process.errors);
	free(child);
}

static void on_done(void *user)
{
	struct child *child = user;
	struct gw_tool_call *call = child->call;
	struct gw_process *process = &child->process;
	char failure[64];

	call->process = NULL;
	if (process->err == KOLK_E_RESOURCE) {
		gw_tool_call_fail(call, "the program cannot be run: %s", strerror(process->os_error));
	} else if (process->err != KOLK_OK) {
		gw_tool_call_fail_err(call, process->err);
	} else {
		put_data(call, process);
		snprintf(failure, sizeof failure,
			 process->status < 0 ? "a signal ended the program" :
					       "the program ended with status %d", process->status);
		gw_tool_call_end(call, process->status != 0 ? failure : NULL);
	}
	child_free(child);
}

void gw_tool_command_cancel(struct gw_tool_call *call)
{
	gw_process_stop(call->tools->processes, call->process, KOLK_E_CANCELLED);
}

static void on_time(struct kolk_timer *timer, void *user)
{
	struct child *child = user;

	(void)timer;
	gw_process_stop(child->call->tools->processes, &child->process, KOLK_E_TIMEOUT);
}

/* ---- the words */

static bool has_nul(const struct gw_argument *value)
{
	return value->size > 0 && memchr(value->text, '\0', value->size) != NULL;
}

/* Whether what stands in front of the word, which is an argument, begins with '-'. */
static bool is_option(const struct gw_tool_call *call, const struct gw_template *word)
{
	for (uint32_t i = 0; i < word->count; i++) {
		const struct gw_template_part *part = &word->parts[i];
		const struct gw_argument *value =
			part->parameter != GW_LITERAL ? &call->arguments.at[part->parameter] : NULL;
		size_t size = value != NULL ? value->size : part->size;

		if (i == 0 && value == NULL)
			return false; /* the configuration's own */
		if (size > 0)
			return (value != NULL ? value->text : part->text)[0] == '-';
	}
	return false;
}

/* The parameter whose value the word may not have; NULL = none. */
static const char *word_flaw(const struct gw_tool_call *call, const struct gw_template *word,
			     bool options)
{
	for (uint32_t i = 0; i < word->count; i++)
		if (word->parts[i].parameter != GW_LITERAL &&
		    has_nul(&call->arguments.at[word->parts[i].parameter]))
			return gw_tool_parameter(call->tool, word->parts[i].parameter)->name;
	return options && is_option(call, word) ?
		       gw_tool_parameter(call->tool, word->parts[0].parameter)->name : NULL;
}

static bool is_end_of_options(const struct gw_template *word)
{
	return word->count == 1 && word->parts[0].parameter == GW_LITERAL &&
	       word->parts[0].size == 2 && memcmp(word->parts[0].text, "--", 2) == 0;
}

struct flaw {
	const char *parameter;       /* NULL = there is none */
	bool options;                /* words may still be some */
};

static bool look_for_flaw(struct gw_tool_call *call, const struct gw_template *word, void *user)
{
	struct flaw *flaw = user;

	flaw->parameter = word_flaw(call, word, flaw->options);
	flaw->options &= !is_end_of_options(word);
	return flaw->parameter == NULL;
}

static const char *words_flaw(struct gw_tool_call *call)
{
	struct flaw flaw = { .options = true };

	(void)gw_tool_call_each_word(call, &call->tool->words, look_for_flaw, &flaw);
	return flaw.parameter;
}

static bool environment_make(struct child *child, const struct gw_tool *tool)
{
	size_t count = 0, begin[VARIABLES_MAX], first;

	for (const char *const *e = tool->environment; e != NULL && *e != NULL; e++)
		if (count < VARIABLES_MAX)
			child->environment[count++] = *e;
	first = count;
	for (const char *const *name = tool->inherit; name != NULL && *name != NULL; name++) {
		const char *value = getenv(*name);

		if (value == NULL || count == VARIABLES_MAX)
			continue;
		begin[count++] = gw_text_size(&child->variables);
		gw_text_say(&child->variables, *name);
		gw_text_say(&child->variables, "=");
		gw_text_put(&child->variables, value, strlen(value) + 1);
	}
	for (size_t i = first; i < count; i++)
		child->environment[i] = gw_text_data(&child->variables) + begin[i];
	return !child->variables.failed;
}

void gw_tool_command_begin(struct gw_tool_call *call)
{
	const char *flaw = words_flaw(call);
	struct child *child = flaw == NULL ? calloc(1, sizeof *child) : NULL;

	if (flaw != NULL) {
		gw_tool_call_fail(call, "argument '%s' begins with '-', or has a NUL", flaw);
		return;
	}
	if (child == NULL) {
		gw_tool_call_fail_err(call, KOLK_E_MEMORY);
		return;
	}
	child->call = call;
	child->process.tool = call->tool;
	child->process.command = child->words.at;
	child->process.environment = child->environment;
	child->process.bytes_max = gw_tool_bytes_max(call->tool);
	child->process.loop = call->loop->loop;
	child->process.done = on_done;
	child->process.user = child;
	if (!environment_make(child, call->tool) ||
	    !gw_tool_call_words(call, &call->tool->words, &child->words) ||
	    !gw_process_start(call->tools->processes, &child->process)) {
		child_free(child);
		gw_tool_call_fail(call, "too many programs run, or wait");
		return;
	}
	call->process = &child->process;
	(void)kolk_timer_start(call->loop->loop, &child->timer, call->deadline_ns, on_time, child);
}
