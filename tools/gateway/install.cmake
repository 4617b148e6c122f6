# What is installed beside the program: its manual, an example of its file, the pages with its keys and
# those that they lead to, the units of systemd.
include(${PROJECT_SOURCE_DIR}/cmake/pages.cmake)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME kolk-gateway)
set(GATEWAY ${PROJECT_SOURCE_DIR}/tools/gateway)
# /etc of /usr; below any other prefix, so that it can be moved.
set(KOLK_ETC ${CMAKE_INSTALL_SYSCONFDIR}/kolk)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
	set(KOLK_ETC /etc/kolk)
endif()
get_filename_component(KOLK_CONFIG_DIR ${KOLK_ETC} ABSOLUTE BASE_DIR ${CMAKE_INSTALL_PREFIX})
configure_file(${GATEWAY}/systemd/kolk-gateway.service.in kolk-gateway.service @ONLY)
install(TARGETS kolk-gateway)
install(FILES ${GATEWAY}/kolk-gateway.yaml DESTINATION ${KOLK_ETC})
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/kolk-gateway.8
	DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${GATEWAY}/pooled-tools.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kolk-gateway)
kolk_install_pages(${CMAKE_INSTALL_DATADIR}/doc/kolk-gateway
	configuration gateway limits migrating operations pooled-tools tenants tls
	drivers/http drivers/http-server drivers/mcp drivers/postgres drivers/redis drivers/stdio)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kolk-gateway.service
	${GATEWAY}/systemd/kolk-gateway.socket DESTINATION lib/systemd/system)
install(FILES ${GATEWAY}/systemd/kolk-gateway.sysusers DESTINATION lib/sysusers.d
	RENAME kolk-gateway.conf)
