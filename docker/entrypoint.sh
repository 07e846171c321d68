#!/bin/bash
# ROS 2 and rostro in the environment of whatever is run; ONNX Runtime for the graphics processor where the image
# has one.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /opt/rostro/setup.bash
if [ -e /opt/onnxruntime/libonnxruntime.so ]; then
  export ORT_DYLIB_PATH=/opt/onnxruntime/libonnxruntime.so
fi
exec "$@"
