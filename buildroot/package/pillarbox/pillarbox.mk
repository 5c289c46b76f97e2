################################################################################
#
# pillarbox
#
################################################################################

PILLARBOX_VERSION = 0.1.0
# The programs are static and built by image/build-binaries; PILLARBOX_PROGRAMS
# names their folder. Everything else comes from the tree around this one.
# PILLARBOX_TREE is a copy of what git tracks, made by image/build-buildroot:
# legal-info packs all of it, and beside it lie keys that sign updates.
PILLARBOX_SITE = $(or $(PILLARBOX_TREE),$(BR2_EXTERNAL_PILLARBOX_PATH))
PILLARBOX_SITE_METHOD = local
PILLARBOX_LICENSE = Apache-2.0
PILLARBOX_LICENSE_FILES = LICENSE

# The same as in systemd/sysusers.d: Buildroot makes the folders of
# systemd/tmpfiles.d while it builds, and wants to know whose they are.
define PILLARBOX_USERS
	pillarbox -1 pillarbox -1 * /data/pillarbox - pillarbox-privop Pillarbox
	pillarbox-beacon -1 pillarbox-beacon -1 * - - pillarbox-privop Pillarbox
	pillarbox-name -1 pillarbox-name -1 * - - - Pillarbox
endef

# Units and settings are put in place by the script that every image uses.
define PILLARBOX_INSTALL_TARGET_CMDS
	$(foreach p,pillarbox pillarbox-privop pillarbox-beacon,\
		$(INSTALL) -D -m 0755 $(PILLARBOX_PROGRAMS)/$(p) \
			$(TARGET_DIR)/usr/bin/$(p)$(sep))
endef

define PILLARBOX_INSTALL_INIT_SYSTEMD
	$(@D)/systemd/install $(TARGET_DIR)
endef

$(eval $(generic-package))
