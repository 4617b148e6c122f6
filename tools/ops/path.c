/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - whether this user can use a path of the configuration. */
#define _GNU_SOURCE /* strerrordesc_np */
#include <errno.h>
#include <kolk/ops/section.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *access_flaw(const char *path, int how)
{
	return access(path, how) == 0 ? NULL : strerrordesc_np(errno);
}

/* Of a file that is made: its directory. */
static const char *room_flaw(const char *path)
{
	const char *slash = strrchr(path, '/');
	const size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	char directory[PATH_MAX] = ".";
	struct stat is;

	if (size >= sizeof directory)
		return strerrordesc_np(ENAMETOOLONG);
	if (size > 0)
		snprintf(directory, sizeof directory, "%.*s", (int)size, path);
	if (stat(directory, &is) != 0)
		return strerrordesc_np(errno);
	return S_ISDIR(is.st_mode) ? access_flaw(directory, W_OK | X_OK) : strerrordesc_np(ENOTDIR);
}

static const char *written_flaw(const char *path)
{
	struct stat is;

	if (stat(path, &is) != 0)
		return errno == ENOENT ? room_flaw(path) : strerrordesc_np(errno);
	return S_ISDIR(is.st_mode) ? strerrordesc_np(EISDIR) : access_flaw(path, W_OK);
}

/* A socket that is there is replaced. */
static const char *bound_flaw(const char *path)
{
	struct stat is;

	if (lstat(path, &is) == 0 && !S_ISSOCK(is.st_mode))
		return "what is there is no socket";
	return room_flaw(path);
}

const char *kolk_config_path_flaw(const char *path, enum kolk_path_use use)
{
	const bool entered = use == KOLK_PATH_ENTER;
	struct stat is;

	if (use == KOLK_PATH_WRITE || use == KOLK_PATH_BIND)
		return use == KOLK_PATH_WRITE ? written_flaw(path) : bound_flaw(path);
	if (stat(path, &is) != 0)
		return strerrordesc_np(errno);
	if (S_ISDIR(is.st_mode) != entered)
		return strerrordesc_np(entered ? ENOTDIR : EISDIR);
	return access_flaw(path, use == KOLK_PATH_READ ? R_OK : X_OK);
}
