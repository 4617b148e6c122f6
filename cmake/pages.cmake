# kolk_install_pages(DESTINATION PAGE ...): pages of docs/, without .md, as they are in the tree. A link between
# two of them stays a link. One to a file of the source tree, which is not there, becomes its text.
function(kolk_install_pages destination)
	string(ASCII 1 kept)
	foreach(page IN LISTS ARGN)
		get_filename_component(folder "${page}" DIRECTORY)
		set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
			${PROJECT_SOURCE_DIR}/docs/${page}.md)
		file(READ ${PROJECT_SOURCE_DIR}/docs/${page}.md text)
		foreach(other IN LISTS ARGN)
			file(RELATIVE_PATH link "/${folder}" "/${other}.md")
			string(REPLACE "](${link})" "]${kept}(${link})" text "${text}")
			string(REPLACE "](${link}#" "]${kept}(${link}#" text "${text}")
		endforeach()
		string(REGEX REPLACE "\\]\\((#|[a-z]+:)" "]${kept}(\\1" text "${text}")
		string(REGEX REPLACE "\\[([^]]*)\\]\\([^)]*\\)" "\\1" text "${text}")
		string(REPLACE "${kept}" "" text "${text}")
		file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/pages/${page}.md "${text}")
		install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pages/${page}.md
			DESTINATION ${destination}/${folder})
	endforeach()
endfunction()
