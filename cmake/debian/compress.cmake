# Run by cpack before it makes the packages: manual pages are compressed in them.
file(GLOB_RECURSE PAGES ${CPACK_TEMPORARY_DIRECTORY}/*.[158])
list(FILTER PAGES INCLUDE REGEX "/share/man/")
if(PAGES)
	execute_process(COMMAND gzip -9nf ${PAGES} COMMAND_ERROR_IS_FATAL ANY)
endif()
