/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the fixture's switches, by name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/fixture.h"

static const struct row {
	const char *name, *text;
	size_t offset;
} switches[] = {
#define ROW(name, text) { #name, text, offsetof(struct mcp_options, name) },
	MCP_SWITCHES(ROW)
#undef ROW
};
static const struct row texts[] = {
	{ "versions", "2025-06-18,2026-07-28 and so on; all", offsetof(struct mcp_options, versions) },
	{ "endpoint", "HTTP+SSE: in front of the session's id; \"\" = never", offsetof(struct mcp_options, endpoint) },
	{ "listen", "the address: 127.0.0.1:0; tls://127.0.0.1:0 with a certificate", offsetof(struct mcp_options, listen) },
	{ "tokens", "file of lines TOKEN PRINCIPAL: others are 401", offsetof(struct mcp_options, tokens) },
	{ "certificate", "PEM file: TLS", offsetof(struct mcp_options, certificate) },
	{ "key", "PEM file", offsetof(struct mcp_options, key) }
};

static bool is_named(const char *name, const char *given)
{
	for (; *name != '\0' && (*given == *name || (*name == '_' && *given == '-')); name++)
		given++;
	return *name == '\0' && *given == '\0';
}

static bool number_set(uint32_t *to, const char *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || number > UINT32_MAX)
		return false;
	*to = (uint32_t)number;
	return true;
}

bool mcp_options_set(struct mcp_options *options, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (is_named(switches[i].name, name))
			return number_set((uint32_t *)(void *)((char *)options + switches[i].offset),
					  value);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (is_named(texts[i].name, name)) {
			memcpy((char *)options + texts[i].offset, &value, sizeof value);
			return true;
		}
	return false;
}

static void print(FILE *file, const struct row *row, const char *value)
{
	char name[32];

	snprintf(name, sizeof name, "%s", row->name);
	for (char *at = name; *at != '\0'; at++)
		*at = *at == '_' ? '-' : *at;
	fprintf(file, "  --%s=%s%*s%s\n", name, value, (int)(18 - strlen(name) - strlen(value)), "",
		row->text);
}

void mcp_options_print(FILE *file)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		print(file, &texts[i], "T");
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		print(file, &switches[i], "N");
}
