/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the command line. tools/demo/options.sh refuses the same with the same words, before
 * there is a program: tests/commands compares them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/demo/demo.h"

static const char usage[] =
#include "tools/demo/usage.inc"
	;

static void refuse(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "kolk-demo: ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

/* Of these characters only: strtod alone takes "inf", "0x1" and "1e1", too. */
static double number(const char *name, const char *text, double max, const char *characters)
{
	double value = strtod(text, NULL);

	if (text[strspn(text, characters)] != 0 || strchr(text, '.') != strrchr(text, '.') ||
	    !(value > 0) || value > max)
		refuse("%s: '%s' is not a number above 0 and up to %.0f", name, text, max);
	return value;
}

static uint32_t backend(const char *name)
{
	static const char *const names[] = { "auto", "io_uring", "epoll" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	refuse("--backend: '%s' is not auto, io_uring or epoll", name);
}

static const struct protocol *protocol(const char *name)
{
	const struct protocol *found = protocol_find(name);

	if (found == NULL)
		refuse("--protocol: '%s' is not raw, redis-ping or http-get", name);
	return found;
}

static bool is_port(const char *text)
{
	size_t size = strlen(text);

	return strspn(text, "0123456789") == size && size <= 5 && atoi(text) >= 1 &&
	       atoi(text) <= 65535;
}

static const char *target(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t size = strlen(text);
	bool bracketed;

	if (strncmp(text, "unix:", 5) == 0 && size > 5)
		return text;
	if (colon == NULL || colon[1] == 0 || (text[0] == '[' && text[size - 1] == ']'))
		refuse("--target: '%s': the port is missing: HOST:PORT, [IPv6]:PORT or unix:PATH",
		       text);
	bracketed = text[0] == '[' && colon[-1] == ']';
	if (colon == text || (!bracketed && strchr(text, ':') != colon) || !is_port(colon + 1))
		refuse("--target: '%s' is not HOST:PORT, [IPv6]:PORT or unix:PATH", text);
	return text;
}

static const char *readable(const char *path)
{
	if (access(path, F_OK) != 0)
		refuse("--ca: there is no file '%s'", path);
	if (access(path, R_OK) != 0)
		refuse("--ca: '%s' cannot be read", path);
	return path;
}

static void take_value(struct options *o, const char *name, const char *value)
{
	if (strcmp(name, "--target") == 0)
		o->target = target(value);
	else if (strcmp(name, "--ca") == 0)
		o->ca = readable(value);
	else if (strcmp(name, "--json") == 0)
		o->json = value;
	else if (strcmp(name, "--seconds") == 0)
		o->seconds = number(name, value, 86400, "0123456789.");
	else if (strcmp(name, "--callers") == 0)
		o->callers = (uint32_t)number(name, value, 4096, "0123456789");
	else if (strcmp(name, "--backend") == 0)
		o->backend = backend(value);
	else
		o->protocol = protocol(value);
}

static bool takes_value(const char *name)
{
	static const char *const names[] = { "--target", "--ca", "--json", "--seconds",
					     "--callers", "--backend", "--protocol" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void options_read(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			exit(0);
		}
		if (strcmp(argv[i], "--tls") == 0)
			o->tls = true;
		else if (CAN_SERVE && strcmp(argv[i], "--serve") == 0)
			o->serve = true;
		else if (!takes_value(argv[i]))
			refuse("there is no option '%s' (--help lists them)", argv[i]);
		else if (argv[i + 1] == NULL)
			refuse("%s: its value is missing", argv[i]);
		else
			i++, take_value(o, argv[i - 1], argv[i]);
	}
	if (o->ca != NULL && !o->tls)
		refuse("--ca goes with --tls");
}
