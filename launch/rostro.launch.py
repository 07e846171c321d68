"""Start the node: camera images in, people out.

    ros2 launch rostro rostro.launch.py image:=/head_camera/image_raw
    ros2 launch rostro rostro.launch.py --show-args
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

# Name, default, description.
ARGUMENTS = [
    ('rgb_camera', '/camera', 'Base of the camera topics, as the ROS4HRI packages spell it'),
    ('rgb_camera_info', '', 'Calibration topic, as the ROS4HRI packages spell it; empty: camera_info beside the images'),
    ('image', [LaunchConfiguration('rgb_camera'), '/image_raw'],
     'Image topic of the (first) camera; compressed images are taken from its subtopic /compressed'),
    ('camera_info', LaunchConfiguration('rgb_camera_info'), 'Calibration topic: distances, head poses and transforms need it'),
    ('params_file', PathJoinSubstitution([FindPackageShare('rostro'), 'config', 'rostro.yaml']),
     'Parameter file; `ros2 run rostro rostro params` explains every parameter'),
    ('namespace', '', 'Namespace of the node and its topics'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
]

# Name, parameter, description: these win over the parameter file when they are given.
SETTINGS = [
    ('image_transport', 'camera_transport', 'raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage)'),
    ('mode', 'output.mode', 'aggregate: the topics of the node alone; ros4hri: faces and whose they are as in REP-155, for '
     'hri_person_manager; ros4hri_standalone: faces and persons as in REP-155, without one'),
    ('gallery', 'gallery.path', 'File of the people to recognise'),
    ('provider', 'inference.provider', 'Where networks run: auto, tensorrt, cuda or cpu'),
    ('use_sim_time', 'use_sim_time', 'true: follow /clock, as when a bag is played with --clock'),
    ('autostart', 'autostart', 'false: wait for lifecycle requests; true: configure and activate at once'),
]


def parameter(text):
    """Turn a launch argument into a parameter of its type."""
    return {'true': True, 'false': False}.get(text.lower(), text)


def start(context):
    """Make the node from what was given."""
    given = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS + SETTINGS}
    settings = {key: parameter(given[name]) for name, key, _ in SETTINGS if given[name]}
    calibration = ['--camera-info', given['camera_info']] if given['camera_info'] else []
    return [Node(
        package='rostro',
        executable='rostro',
        name='rostro',
        namespace=given['namespace'],
        arguments=['node', '--image', given['image'], *calibration],
        ros_arguments=['--log-level', given['log_level']],
        parameters=[given['params_file'], *([settings] if settings else [])],
        output='screen',
    )]


def generate_launch_description():
    """Describe the arguments and the node."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        *(DeclareLaunchArgument(name, default_value='', description=f'{description}; empty: as in the parameter file')
          for name, _, description in SETTINGS),
        OpaqueFunction(function=start),
    ])
