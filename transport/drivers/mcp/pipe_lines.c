/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_lines.c - the wire of a child process: a message is a line. */
#include "transport/drivers/mcp/inside.h"

static enum kolk_err encode(struct mcp_pipe *pipe, const char *text, size_t size)
{
	struct mcp_line *line = kolk__mcp_line_make(size + 1);

	if (line == NULL)
		return KOLK_E_MEMORY;
	/* A message is one line: line ends in it stand between tokens, where a blank does as well. */
	for (size_t i = 0; i < size; i++)
		line->text[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
	line->text[size] = '\n';
	kolk__mcp_pipe_queue(pipe, line);
	return KOLK_OK;
}

static enum kolk_err take(struct mcp_pipe *pipe, const char *data, size_t size)
{
	enum kolk_err err = KOLK_OK;

	while (err == KOLK_OK && size > 0) {
		const char *end = memchr(data, '\n', size);
		size_t part = end != NULL ? (size_t)(end - data) : size;

		err = kolk__mcp_pipe_append(pipe, data, part);
		/* What is no message, as a program's greeting, is dropped. */
		if (err == KOLK_OK && end != NULL)
			(void)kolk__mcp_pipe_end_message(pipe);
		part += end != NULL;
		data += part;
		size -= part;
	}
	return err;
}

const struct mcp_wire kolk__mcp_lines = { .encode = encode, .take = take };
