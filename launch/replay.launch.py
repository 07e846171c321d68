"""Play a bag into the node.

    ros2 launch rostro replay.launch.py bag:=/data/party image:=/head_camera/image_raw

Frames that come while the node is busy are displaced, as from a camera. For every frame of a bag,
reproducibly and without ROS, there is `rostro replay`.
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = [
    ('bag', None, 'The bag to play'),
    ('rate', '1.0', 'Speed of the playback'),
    ('delay', '10.0', 'Seconds until the playback starts, so that the models are loaded'),
    ('image', '/camera/image_raw', 'Image topic in the bag'),
]


def generate_launch_description():
    """Describe the node under simulated time, the playback, and the end after the last message."""
    bag, rate, delay, image = (LaunchConfiguration(name) for name, _, _ in ARGUMENTS)
    # Every other argument of rostro.launch.py (params_file, gallery, ...) passes through.
    node = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare('rostro'), 'launch', 'rostro.launch.py']),
        launch_arguments={'use_sim_time': 'true', 'image': image}.items(),
    )
    play = ExecuteProcess(cmd=['ros2', 'bag', 'play', bag, '--clock', '--rate', rate], output='screen')
    end = RegisterEventHandler(OnProcessExit(
        target_action=play,
        on_exit=[EmitEvent(event=Shutdown(reason='the bag has been played'))],
    ))
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    return LaunchDescription([*declared, node, end, TimerAction(period=delay, actions=[play])])
