/* SPDX-License-Identifier: Apache-2.0 */
/* path_test.c - what is in the way of a path, for each use, and of an address. */
#define _GNU_SOURCE /* mkdtemp */
#include "tests/kit/cmocka/run.h"

#include <fcntl.h>
#include <kolk/ops/section.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/kolk-path-XXXXXX";

/* In the folder; "" = the folder itself. */
static const char *in(const char *name)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void expect(const char *name, enum kolk_path_use use, const char *flaw)
{
	const char *said = kolk_config_path_flaw(in(name), use);

	if (flaw == NULL)
		assert_null(said);
	else
		assert_string_equal(said != NULL ? said : "nothing", flaw);
}

static void file_make(const char *name, mode_t mode)
{
	int fd = open(in(name), O_CREAT | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	close(fd);
}

static void socket_make(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", in(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

static void each_use_has_its_flaws(void **state)
{
	static const char missing[] = "No such file or directory", no_directory[] = "Not a directory";

	(void)state;
	assert_non_null(mkdtemp(folder));
	file_make("file", 0600);
	file_make("program", 0700);
	socket_make("socket");
	expect("file", KOLK_PATH_READ, NULL);
	expect("none", KOLK_PATH_READ, missing);
	expect("", KOLK_PATH_READ, "Is a directory");
	expect("program", KOLK_PATH_RUN, NULL);
	expect("file", KOLK_PATH_RUN, "Permission denied"); /* for root, too */
	expect("", KOLK_PATH_RUN, "Is a directory");
	expect("none", KOLK_PATH_RUN, missing);
	expect("", KOLK_PATH_ENTER, NULL);
	expect("file", KOLK_PATH_ENTER, no_directory);
	expect("none", KOLK_PATH_ENTER, missing);
	expect("file", KOLK_PATH_WRITE, NULL);
	expect("none", KOLK_PATH_WRITE, NULL);
	expect("none/none", KOLK_PATH_WRITE, missing);
	expect("file/none", KOLK_PATH_WRITE, no_directory);
	expect("", KOLK_PATH_WRITE, "Is a directory");
	expect("none", KOLK_PATH_BIND, NULL);
	expect("socket", KOLK_PATH_BIND, NULL);
	expect("file", KOLK_PATH_BIND, "what is there is no socket");
	expect("none/none", KOLK_PATH_BIND, missing);
	expect("file/none", KOLK_PATH_BIND, no_directory);
	unlink(in("file"));
	unlink(in("program"));
	unlink(in("socket"));
	rmdir(folder);
}

static void a_path_without_a_directory_is_here(void **state)
{
	(void)state;
	assert_null(kolk_config_path_flaw(".", KOLK_PATH_ENTER));
	assert_string_equal(kolk_config_path_flaw("/none/a", KOLK_PATH_BIND), "No such file or directory");
	assert_ptr_equal(kolk_config_path_flaw("none", KOLK_PATH_WRITE),
			 kolk_config_path_flaw("./none", KOLK_PATH_WRITE));
}

static void an_address_of_another_machine_is_a_flaw(void **state)
{
	static const char *const here[] = { "127.0.0.1",  "127.0.0.1:80", "0.0.0.0:80",
					    "eth0",	  "localhost:80", "",
					    "1.2.3.4.5", "192.0.2.1:65536" };
	static const char *const elsewhere[] = { "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
						 "[2001:db8::1]:80" };

	(void)state;
	for (size_t i = 0; i < sizeof here / sizeof *here; i++)
		assert_null(kolk_config_address_flaw(here[i]));
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
		assert_string_equal(kolk_config_address_flaw(elsewhere[i]),
				    "this machine does not have it");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_use_has_its_flaws),
	cmocka_unit_test(a_path_without_a_directory_is_here),
	cmocka_unit_test(an_address_of_another_machine_is_a_flaw),
};

CMOCKA_TESTS(path, tests);
