# Debian packages: cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr, build, cpack -G DEB.
# The component of an install rule is the package that the files go into.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
	file(WRITE ${CMAKE_BINARY_DIR}/CPackConfig.cmake "message(FATAL_ERROR\n"
		"\"Packages install in /usr: cmake -DCMAKE_INSTALL_PREFIX=/usr ${CMAKE_BINARY_DIR}\")\n")
	return()
endif()
set(KOLK_DEBIAN ${PROJECT_SOURCE_DIR}/cmake/debian)
find_program(KOLK_GZIP gzip REQUIRED)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # there are files in /etc
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${KOLK_DEBIAN}/compress.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
	GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE kolk)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# The newest entry of the changelog says which package this is, and whose.
file(STRINGS ${KOLK_DEBIAN}/changelog KOLK_NEWEST LIMIT_COUNT 1)
if(NOT KOLK_NEWEST MATCHES "^kolk \\(${PROJECT_VERSION}-([0-9]+)\\)")
	message(FATAL_ERROR "cmake/debian/changelog does not begin with ${PROJECT_VERSION}")
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE ${CMAKE_MATCH_1})
file(STRINGS ${KOLK_DEBIAN}/changelog KOLK_NEWEST REGEX "^ -- " LIMIT_COUNT 1)
string(REGEX REPLACE "^ -- (.*>)  .*" "\\1" CPACK_DEBIAN_PACKAGE_MAINTAINER "${KOLK_NEWEST}")
set(KOLK_CHANGELOG ${CMAKE_CURRENT_BINARY_DIR}/changelog.Debian.gz)
execute_process(COMMAND ${KOLK_GZIP} -9nc ${KOLK_DEBIAN}/changelog OUTPUT_FILE ${KOLK_CHANGELOG}
	COMMAND_ERROR_IS_FATAL ANY)

set(KOLK_ABOUT "Kolk keeps connections to upstream servers ready for the requests of a gateway,
apart by tenant and credential, and within exact limits.")

# kolk_package(NAME SECTION SUMMARY TEXT [CONTROL-FILE ...])
macro(kolk_package package section summary text)
	string(TOUPPER ${package} PACKAGE)
	list(APPEND CPACK_COMPONENTS_ALL ${package})
	set(CPACK_DEBIAN_${PACKAGE}_PACKAGE_NAME ${package})
	set(CPACK_DEBIAN_${PACKAGE}_PACKAGE_SECTION ${section})
	set(CPACK_DEBIAN_${PACKAGE}_DESCRIPTION "${summary}\n${KOLK_ABOUT}\n.\n${text}")
	set(CPACK_DEBIAN_${PACKAGE}_PACKAGE_CONTROL_EXTRA ${ARGN})
	install(FILES ${KOLK_DEBIAN}/copyright ${KOLK_CHANGELOG} COMPONENT ${package}
		DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package})
endmacro()

kolk_package(libkolk0 libs "connection-pool engine for gateways"
	"This package has the shared libraries: the engine, the protocols HTTP/1.1,
HTTP/2, Redis and PostgreSQL, and for operators configuration, status, metrics
and an admin server."
	${KOLK_DEBIAN}/triggers)
install(FILES ${KOLK_DEBIAN}/libkolk0.overrides COMPONENT libkolk0 RENAME libkolk0
	DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/lintian/overrides)

# pkg-config and a static program need what the libraries are made of.
kolk_package(libkolk-dev libdevel "connection-pool engine for gateways - development files"
	"This package has the headers, the static libraries, and files for pkg-config
and CMake.")
get_property(KOLK_NEEDED GLOBAL PROPERTY KOLK_NEEDED_PACKAGES)
list(REMOVE_DUPLICATES KOLK_NEEDED)
list(FILTER KOLK_NEEDED INCLUDE REGEX "^lib.*-dev$")
list(REMOVE_ITEM KOLK_NEEDED libck-dev libcmocka-dev)
list(JOIN KOLK_NEEDED ", " KOLK_NEEDED)
set(CPACK_DEBIAN_LIBKOLK-DEV_PACKAGE_DEPENDS
	"libkolk0 (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), ${KOLK_NEEDED}")

if(TARGET kolk-ctl)
	kolk_package(kolk-tools admin "inspect and control the connections of a running gateway"
		"This package has kolk-ctl, which also checks the configuration of a gateway,
and kolk-top, which shows its connections live.")
endif()
if(TARGET kolk-gateway)
	kolk_package(kolk-gateway httpd "reverse proxy with pooled upstream connections"
		"This package has kolk-gateway, a reverse proxy for HTTP/1.1 and HTTP/2 with
routes, tenants, TLS, rate limits, an admin server and metrics. It runs as a
sandboxed service of systemd."
		${KOLK_DEBIAN}/conffiles ${KOLK_DEBIAN}/postinst ${KOLK_DEBIAN}/prerm
		${KOLK_DEBIAN}/postrm)
	set(CPACK_DEBIAN_KOLK-GATEWAY_PACKAGE_DEPENDS
		"systemd | systemd-standalone-sysusers | systemd-sysusers")
	set(CPACK_DEBIAN_KOLK-GATEWAY_PACKAGE_RECOMMENDS kolk-tools)
endif()
include(CPack)
