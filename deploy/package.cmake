# SPDX-License-Identifier: Apache-2.0
# What is installed where, and the Debian packages that cpack makes of it: gmd, gmd-dpdk, gmd-status, gmd-tools.
include(GNUInstallDirs)
set(deploy ${CMAKE_SOURCE_DIR}/deploy)
set(man ${CMAKE_INSTALL_MANDIR})
set(doc ${CMAKE_INSTALL_DATADIR}/doc)

# A page or a text, compressed as packages have it.
function(gm_install_gz source destination name component)
  set(gz ${CMAKE_BINARY_DIR}/gz/${component}/${name}.gz)
  add_custom_command(OUTPUT ${gz} DEPENDS ${source}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/gz/${component}
    COMMAND gzip -9nc ${source} > ${gz})
  add_custom_target(gz-${component}-${name} ALL DEPENDS ${gz})
  install(FILES ${gz} DESTINATION ${destination} COMPONENT ${component})
endfunction()

function(gm_install_doc package component)
  install(FILES ${deploy}/debian/copyright DESTINATION ${doc}/${package} COMPONENT ${component})
  gm_install_gz(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${doc}/${package} changelog ${component})
endfunction()

install(TARGETS gmd gmctl DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT gmd)
gm_install_gz(${deploy}/man/gmd.8 ${man}/man8 gmd.8 gmd)
gm_install_gz(${deploy}/man/gmd.conf.5 ${man}/man5 gmd.conf.5 gmd)
gm_install_gz(${deploy}/man/gmctl.1 ${man}/man1 gmctl.1 gmd)
gm_install_gz(${deploy}/man/gmd-metrics.7 ${man}/man7 gmd-metrics.7 gmd)
install(FILES ${deploy}/systemd/gmd.service DESTINATION lib/systemd/system COMPONENT gmd)
install(FILES ${deploy}/systemd/gmd.sysusers DESTINATION lib/sysusers.d RENAME gmd.conf COMPONENT gmd)
install(FILES ${deploy}/systemd/gmd.tmpfiles DESTINATION lib/tmpfiles.d RENAME gmd.conf COMPONENT gmd)
install(FILES ${deploy}/completion/gmctl.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME gmctl COMPONENT gmd)
install(FILES ${deploy}/completion/_gmctl DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT gmd)
install(FILES ${deploy}/example.conf DESTINATION /etc/gmd RENAME gmd.conf COMPONENT gmd) # where gmd looks, whatever the prefix
install(FILES ${deploy}/handbook.md ${deploy}/first-group.txt ${deploy}/status.png DESTINATION ${doc}/gmd COMPONENT gmd)
gm_install_doc(gmd gmd)

install(TARGETS gmload gmas DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
gm_install_gz(${deploy}/man/gmload.1 ${man}/man1 gmload.1 tools)
gm_install_gz(${deploy}/man/gmas.1 ${man}/man1 gmas.1 tools)
gm_install_doc(gmd-tools tools)
set(components gmd tools)

if(TARGET gmd-status)
  install(TARGETS gmd-status DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT status)
  gm_install_gz(${deploy}/man/gmd-status.8 ${man}/man8 gmd-status.8 status)
  install(FILES ${deploy}/systemd/gmd-status.service DESTINATION lib/systemd/system COMPONENT status)
  install(FILES ${deploy}/grafana/gmd.json DESTINATION ${CMAKE_INSTALL_DATADIR}/gmd/grafana COMPONENT status)
  install(FILES ${deploy}/prometheus/gmd.rules.yml DESTINATION ${CMAKE_INSTALL_DATADIR}/gmd/prometheus COMPONENT status)
  gm_install_doc(gmd-status status)
  list(APPEND components status)
endif()

if(TARGET gmd-dpdk)
  install(TARGETS gmd-dpdk LIBRARY DESTINATION lib/gmd COMPONENT dpdk)
  install(PROGRAMS ${deploy}/dpdk-check.sh DESTINATION lib/gmd COMPONENT dpdk)
  install(FILES ${deploy}/dpdk.md ${deploy}/systemd/gmd.service.d/dpdk.conf DESTINATION ${doc}/gmd-dpdk COMPONENT dpdk) # the drop-in is for /etc
  gm_install_doc(gmd-dpdk dpdk)
  list(APPEND components dpdk)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME gmd)
set(CPACK_PACKAGE_CONTACT "the gmd authors <gmd@localhost>")
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # /etc is not below /usr
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_GMD_PACKAGE_NAME gmd)
set(CPACK_COMPONENT_GMD_DESCRIPTION "Group Manager for Group OSCORE over ACE
Lets CoAP devices with an access token join OSCORE groups, hands them keys,
and renews the keys of a group whenever a member comes, leaves or is evicted.")
set(CPACK_DEBIAN_GMD_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles, passwd")
set(CPACK_DEBIAN_GMD_PACKAGE_SUGGESTS "gmd-dpdk, gmd-status, gmd-tools")
set(CPACK_DEBIAN_GMD_PACKAGE_CONTROL_EXTRA ${deploy}/debian/conffiles ${deploy}/debian/postinst ${deploy}/debian/prerm
  ${deploy}/debian/postrm)

set(CPACK_DEBIAN_DPDK_PACKAGE_NAME gmd-dpdk)
set(CPACK_COMPONENT_DPDK_DESCRIPTION "Group Manager for Group OSCORE: its DPDK port
The object that gmd loads where its configuration says port: dpdk.")
set(CPACK_DEBIAN_DPDK_PACKAGE_DEPENDS "gmd (= ${PROJECT_VERSION}), librte-mempool-ring23")
set(CPACK_DEBIAN_DPDK_PACKAGE_RECOMMENDS "librte-net-af-xdp23, librte-net-af-packet23, librte-meta-net")

set(CPACK_DEBIAN_STATUS_PACKAGE_NAME gmd-status)
set(CPACK_COMPONENT_STATUS_DESCRIPTION "Group Manager for Group OSCORE: status page and metrics over HTTP
A program beside gmd that serves a page and metrics for Prometheus on loopback,
with a Grafana dashboard and alert rules.")
set(CPACK_DEBIAN_STATUS_PACKAGE_DEPENDS "gmd (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_STATUS_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_STATUS_PACKAGE_CONTROL_EXTRA ${deploy}/debian/status/postinst ${deploy}/debian/status/prerm ${deploy}/debian/status/postrm)

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME gmd-tools)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "Group Manager for Group OSCORE: load generator and development AS
gmload plays members by the ten thousand, gmas an Authorization Server. Neither
is for production.")
include(CPack)
