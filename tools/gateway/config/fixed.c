/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixed.c - what a program that runs cannot change: options of its listeners and of its server,
 * the path of its log, and its warm start. The program keeps what it began with as a text, and a reload compares.
 *
 * The text: a name and a value for each option, each closed by a zero; an empty name is the end. Two
 * texts of as many listeners have the same names in the same order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/config/fixed.h"

/* ---- written */

static void add_value(FILE *to, const struct kolk_option *option, const char *at)
{
	uint64_t number = 0;
	const char *text;

	if (option->kind == KOLK_OPTION_TEXT) {
		memcpy(&text, at, sizeof text);
		fputs(text != NULL ? text : "", to);
	} else {
		memcpy(&number, at, option->size); /* the first bytes are the lowest */
		fprintf(to, "%llu", (unsigned long long)(number != 0 ? number : option->fallback));
	}
	fputc(0, to);
}

/* The rows of a table that a file has keys for: "streams_max of SUBJECT". */
static void add_options(FILE *to, const char *subject, const struct kolk_option_table *table,
			const void *options)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];
		const char *dot = option->key != NULL ? strchr(option->key, '.') : NULL;

		if (option->key == NULL || option->kind == KOLK_OPTION_LIST ||
		    option->kind == KOLK_OPTION_POINTER)
			continue;
		fprintf(to, "%s of %s%c", dot != NULL ? dot + 1 : option->key, subject, 0);
		add_value(to, option, (const char *)options + option->offset);
	}
}

char *gw_config_fixed(const struct gw_config *config)
{
	char *text = NULL, subject[32];
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to == NULL)
		return NULL;
	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct gw_listener *listener = &config->listeners[i];

		snprintf(subject, sizeof subject, "listen %u", i + 1);
		add_options(to, subject, kolk_option_table("listener"), &listener->options);
		fprintf(to, "unix_mode of %s%c%o%c", subject, 0, listener->options.unix_mode, 0);
	}
	add_options(to, "server", kolk_http_server_option_table(), &config->server);
	fprintf(to, "path of access_log%c%s%c", 0,
		config->access_log.path != NULL ? config->access_log.path : "off", 0);
	fprintf(to, "warm_state_file%c%s%c", 0,
		config->warm.state_file != NULL ? config->warm.state_file : "", 0);
	fprintf(to, "warm_pairs_max%c%u%c", 0, config->warm.pairs_max, 0);
	fprintf(to, "warm_rate%c%u%c", 0, config->warm.rate, 0);
	fprintf(to, "warm_interval%c%llu%c", 0, (unsigned long long)config->warm.interval_ns, 0);
	fprintf(to, "warm_half_life%c%llu%c", 0, (unsigned long long)config->warm.half_life_ns, 0);
	fputc(0, to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- compared */

static const char *behind(const char *text)
{
	return text + strlen(text) + 1;
}

void gw_config_fixed_changes(const char *before, const char *after, char *text, size_t capacity)
{
	size_t used = 0;

	text[0] = 0;
	while (before[0] != 0 && after[0] != 0) {
		const char *name = before, *a = behind(before), *b = behind(after);

		if (strcmp(a, b) != 0 && used < capacity)
			used += (size_t)snprintf(text + used, capacity - used, "%s%s",
						 used > 0 ? ", " : "", name);
		before = behind(a);
		after = behind(b);
	}
}
