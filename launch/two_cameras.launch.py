"""One node for two cameras: the same people, recognised by both.

    ros2 launch rostro two_cameras.launch.py left_image:=/left/image_raw right_image:=/right/image_raw
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

CAMERAS = ['left', 'right']

# Name, default, description.
ARGUMENTS = [
    ('left_image', '/left/image_raw', 'Image topic; compressed images are taken from its subtopic /compressed'),
    ('right_image', '/right/image_raw', 'Image topic; compressed images are taken from its subtopic /compressed'),
    ('params_file', PathJoinSubstitution([FindPackageShare('rostro'), 'config', 'rostro.yaml']),
     'Parameter file; its `cameras` are replaced by left and right'),
    ('namespace', '', 'Namespace of the node and its topics'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
]

# Name, parameter, description: these win over the parameter file when they are given.
SETTINGS = [
    ('image_transport', 'camera_transport', 'raw or compressed, for both cameras'),
    ('mode', 'output.mode', 'Which topics are published: aggregate, ros4hri or ros4hri_standalone'),
    ('gallery', 'gallery.path', 'File of the people to recognise'),
    ('provider', 'inference.provider', 'Where networks run: auto, tensorrt, cuda or cpu'),
    ('use_sim_time', 'use_sim_time', 'true: follow /clock'),
    ('autostart', 'autostart', 'false: wait for lifecycle requests; true: configure and activate at once'),
]


def parameter(text):
    """Turn a launch argument into a parameter of its type."""
    return {'true': True, 'false': False}.get(text.lower(), text)


def start(context):
    """Make the node from what was given."""
    given = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS + SETTINGS}
    settings = {key: parameter(given[name]) for name, key, _ in SETTINGS if given[name]}
    remappings = []
    for camera in CAMERAS:
        image = given[f'{camera}_image']
        remappings += [
            (f'{camera}/image', image),
            (f'{camera}/image/compressed', f'{image}/compressed'),
            # As image_transport has it: beside the images.
            (f'{camera}/camera_info', f"{image.rpartition('/')[0]}/camera_info"),
        ]
    return [Node(
        package='rostro',
        executable='rostro',
        name='rostro',
        namespace=given['namespace'],
        arguments=['node'],
        ros_arguments=['--log-level', given['log_level']],
        parameters=[given['params_file'], {'cameras': CAMERAS, **settings}],
        remappings=remappings,
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
