// SPDX-License-Identifier: GPL-2.0-or-later
// Fills an image that mkfs.exfat made, so that the reader has something to read. No tool does that
// without mounting the image.
#pragma once

#include <map>
#include <string>

// Adds `files` (path, contents) to the empty exFAT volume in `image`. By turns files and folders
// lie in one piece without a chain, or scattered with one; every 11th file is longer than what is
// valid of it, and `files` gets the zeros that a reader must give there. False: the volume is full.
bool fill_exfat(std::string& image, std::map<std::string, std::string>& files);
